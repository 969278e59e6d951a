"""An alert's numbers as people read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import amount, percent
from llmvitals.metrics.words import STATISTICS
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.record.alert import Alert

_BARS: Final = "▁▂▃▄▅▆▇█"
_LATEST: Final = 12


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
