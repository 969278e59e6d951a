"""An alert's numbers as people read them, and times in texts of detectors. Pure.

Times are typed: each reader sees them in a zone of their own.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount, percent
from llmvitals.metrics.words import STATISTICS
from llmvitals.window import SECOND
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmvitals.record.alert import Alert

Timed = tuple[str, int | None]
"""A text, and a time (µs since 1970) that belongs behind it."""
Sentence = tuple[Timed, ...]
"""Texts and times in turn."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME: Final = re.compile(
    rf" (?:(?P<weekday>{'|'.join(_DAYS)}) )?(?:(?P<day>[0-9]{{1,2}}) (?P<month>{'|'.join(_MONTHS)}) )?"
    r"(?:(?P<year>[0-9]{4}) at )?(?P<hour>[0-2][0-9]):(?P<minute>[0-5][0-9]) UTC\b",
    re.ASCII,
)

_BARS: Final = "▁▂▃▄▅▆▇█"
_LATEST: Final = 12


def timed(text: str, near: int) -> Sentence:
    """Return a text with its times in UTC as typed ones, such as `since 14:05 UTC`, `since Mon 09:00 UTC`.

    near: the time (µs) at which it was said; a time without a year is the last such one before that.
    """
    return tuple(_parts(text, near))


def _parts(text: str, near: int) -> Iterator[Timed]:
    begin = 0
    for found in _TIME.finditer(text):
        time = _last(found, near)
        if time is not None:
            yield text[begin : found.start()], time
            begin = found.end()
    if begin < len(text):
        yield text[begin:], None


def _last(found: re.Match[str], near: int) -> int | None:
    hour, minute = int(found["hour"]), int(found["minute"])
    try:
        now = datetime.fromtimestamp(near // SECOND, UTC)
        at = now.replace(hour=hour, minute=minute, second=0)
        if found["day"]:
            at = at.replace(
                day=1, month=_MONTHS.index(found["month"]) + 1, year=int(found["year"] or now.year)
            )
            at = at.replace(day=int(found["day"]))
            if not found["year"] and at > now:
                at = at.replace(year=at.year - 1)
        elif at > now:
            at -= timedelta(days=1)
        if found["weekday"] and not found["day"]:
            at -= timedelta(days=(at.weekday() - _DAYS.index(found["weekday"])) % 7)
        return int(at.timestamp()) * SECOND
    except (ValueError, OverflowError, OSError):
        return None


def figure(alert: Alert) -> str:
    """The value against its limit: `$1,284.20 of $2,000 · 64 %`, `6.24 s · limit 4 s`."""
    if alert.bound != "budget":
        return " · ".join(filter(None, (value(alert), bound(alert))))
    of = f"{spent(alert)} of {amount(alert.limit, alert.unit)}"
    return " · ".join(filter(None, (of, percent(alert.value, alert.limit))))


def spent(alert: Alert) -> str:
    """The value of a budget; of one with calls that have no price it is the least that was spent."""
    return f"{'at least ' if alert.unpriced and alert.unpriced[0] else ''}{value(alert)}"


def value(alert: Alert) -> str:
    """Just the value: `6.24 s`, `1.8 × its threshold`, `2 metrics changed`."""
    return number(alert, alert.value)


def number(alert: Alert, of: float) -> str:
    """A number in the alert's unit and words."""
    text = amount(of, alert.unit)
    words = STATISTICS.get(alert.metric)
    return words.said(of, text) if words else text


def worst(alert: Alert) -> str:
    """The worst value since it began: `peak 9.8 s`, or `lowest 12` of what must not fall."""
    return f"{'lowest' if alert.worst < alert.limit else 'peak'} {number(alert, alert.worst)}"


def closed(alert: Alert) -> bool:
    """Whether it is over because the period of its budget is, and so says what was spent in it."""
    return alert.bound == "budget" and not alert.facet and alert.period_ended


def bound(alert: Alert) -> str:
    """What the value is compared with: `limit 4 s`, `usual 1 %`; "" where the value says it."""
    if alert.metric in STATISTICS:
        return ""
    word = "usual" if alert.bound == "usual" else "limit"
    return f"{word} {amount(alert.limit, alert.unit)}"


def named(alert: Alert) -> str:
    """What is measured: `Latency p95`."""
    if words := STATISTICS.get(alert.metric):
        return words.name
    name = clean(alert.metric.replace("_", " "), 40)
    return name[:1].upper() + name[1:]


def metric(alert: Alert) -> str:
    """What is measured and over which time: `Latency p95, 5m`, `Cost per month`."""
    if alert.metric in STATISTICS:
        return named(alert)
    joint = " per " if alert.bound == "budget" else ", "
    return joint.join(filter(None, (named(alert), clean(alert.window, 40)))) or clean(alert.kind, 20)


def noted(alert: Alert) -> bool:
    """Whether its note says more than its value, so that it stands in place of the value in a list."""
    words = STATISTICS.get(alert.metric)
    return words is not None and words.note


def trend(alert: Alert) -> str:
    """How the value went: its last dozen values as bars, between the first and the last of them."""
    known = finite(alert.trend)[-_LATEST:]
    bars = sparkline(known)
    return f"{amount(known[0], alert.unit)} {bars} {amount(known[-1], alert.unit)}" if bars else ""


def finite(values: Iterable[float]) -> list[float]:
    """The numbers that can be drawn."""
    return [value for value in values if math.isfinite(value)]


def sparkline(values: Iterable[float]) -> str:
    """The last dozen numbers as bars from the least to the greatest; "" for fewer than two.

    >>> sparkline([1, 2, 8, 4])
    '▁▂█▄'
    """
    known = finite(values)[-_LATEST:]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if len(known) < 2 or not math.isfinite(high - low):
        return ""
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((value - low) / step)] for value in known)
