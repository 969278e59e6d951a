"""Card → what its message says, most important first: pure, apart from how Slack or a terminal draw it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from llmvitals.notify.wording import clean, moment
from llmvitals.record.card import MOST
from llmvitals.record.quantity import amount, percent, span
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.record.alert import Alert, Heavy
    from llmvitals.record.card import Card

HEAVIEST: Final = "Heaviest, last minutes"
"""They are those of the last 10 to 20 minutes, however long the alert's own window is."""
LABELS: Final = 10
_SUMMARY: Final = 800
_CAUSE: Final = 500
_NAME: Final = 60
_URL: Final = 1_000
CIRCLES: Final = {"green": "🟢", "red": "🔴", "orange": "🟠", "blue": "🔵"}
_SEVERITIES: Final = {"critical": "red", "page": "red", "error": "red", "info": "blue"}
_STEERS: Final = {"block": "⛔ Calls are blocked", "warn": "Calls are warned"}
_LINK: Final = re.compile(r"https?://[^\s/]+", re.IGNORECASE)
_BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Line:
    """One of many alerts: circle, where it is (label, value), its figure, since when (µs)."""

    colour: str
    rule: str
    labels: tuple[tuple[str, str], ...]
    figure: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a message says, in clean texts that are not yet escaped.

    colour: red, orange, blue, or green once resolved. state: who looks after it, why nothing is told.
    figure: the value against its limit; trend: how it went, as bars. steer: what it means for calls. labels:
    those of all its alerts. times: (name, µs since 1970). words: sentences. lines: its alerts, where there
    are several; more: how many are not among them. heaviest: (kind, name, what it used). exemplars: (id,
    link or ""). link: the runbook, an http(s) URL without characters that Slack reads.
    """

    colour: str
    title: str
    state: tuple[str, ...] = ()
    figure: str = ""
    trend: str = ""
    steer: str = ""
    lasted: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    times: tuple[tuple[str, int], ...] = ()
    words: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    more: int = 0
    heaviest: tuple[tuple[str, str, str], ...] = ()
    exemplars: tuple[tuple[str, str], ...] = ()
    link: str = ""
    footer: str = ""


def notice(card: Card, *, trace_url: str = "") -> Notice:
    """What there is to say about an incident's present state; trace_url: see the setting."""
    alert, over, many = card.chief, card.status == "resolved", card.total > 1
    colour = "green" if over else _colour(alert)
    times = [("Since", card.since)]
    if alert.ends is not None and not over and not many:
        times.append(("Period ends", alert.ends))
    return Notice(
        colour=colour,
        title=f"{CIRCLES[colour]} {_title(card)}",
        state=tuple(_state(card)),
        figure="" if many else figure(alert),
        trend="" if many else sparkline(alert.trend),
        steer="" if over else _STEERS.get(alert.verdict, ""),
        lasted=span((card.until or alert.at) - card.since) if over else "",
        labels=tuple(labelled(common(card.alerts).items())),
        times=tuple(times),
        words=tuple(_words(card)),
        lines=tuple(_line(one, card) for one in card.alerts[:MOST]) if many else (),
        more=max(card.total - min(len(card.alerts), MOST), 0) if many else 0,
        heaviest=() if many else tuple(_heavy(heavy) for heavy in alert.heaviest[:3]),
        exemplars=() if many else tuple(linked(trace, trace_url) for trace in alert.exemplars[:5]),
        link="" if card.digest else _link(alert.annotations.get("runbook_url", "")),
        footer=f"{clean(alert.kind, 20)} · incident {clean(card.incident, 80)}",
    )


def figure(alert: Alert) -> str:
    """The value against its limit, as people read them."""
    value, limit = amount(alert.value, alert.unit), amount(alert.limit, alert.unit)
    if alert.kind != "budget" or alert.facet:
        return f"{value} · limit {limit}"
    used = percent(alert.value, alert.limit)
    over = alert.value - alert.limit
    beyond = f"{amount(over, alert.unit)} over" if math.isfinite(over) and over > 0 else ""
    return " · ".join(filter(None, (f"{value} of {limit}", used, beyond)))


def sparkline(values: Iterable[float]) -> str:
    """The last 20 numbers as bars from the least to the greatest.

    >>> sparkline([1, 2, 8, 4])
    '▁▂█▄'
    """
    known = [value for value in values if math.isfinite(value)][-20:]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if len(known) < 2 or not math.isfinite(high - low):
        return ""
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((value - low) / step)] for value in known)


def linked(trace: str, trace_url: str) -> tuple[str, str]:
    """A trace's id, and where it is seen ("" where that is not set)."""
    shown = clean(trace, 80) or UNKNOWN
    url = trace_url.replace("{trace_id}", quote(shown, safe="")) if trace_url else ""
    return shown, _link(url)


def _title(card: Card) -> str:
    rule, over = clean(card.chief.rule, 80), card.status == "resolved"
    if card.digest:
        return f"{'Resolved' if over else 'Digest'}: {_count(card)}"
    word = "Resolved" if over else clean(card.chief.severity, 20).capitalize() or "Alert"
    return f"{word}: {rule}" + (f" · {_count(card)}" if card.total > 1 else "")


def _count(card: Card) -> str:
    if card.status == "firing" and card.firing < card.total:
        return f"{card.firing:,} of {card.total:,} alerts"
    return f"{card.total:,} alerts"


def _state(card: Card) -> Iterable[str]:
    if card.status == "resolved":
        return
    if card.again is not None and card.again > card.since:
        yield f"⏳ Still firing, {span(card.again - card.since)}"
    if card.acknowledged is not None:
        who, when = card.acknowledged
        yield f"👀 Acknowledged by {clean(who, 80) or UNKNOWN}, {moment(when)}"
    if card.unheard:
        yield f"🔕 {_capital(clean(card.unheard, 200))}"


def _words(card: Card) -> Iterable[str]:
    alert = card.chief
    if card.digest:
        yield "Many alerts at once: they are told in this one message."
        return
    if card.total == 1:
        yield clean(alert.summary, _SUMMARY)
    if card.status == "firing":
        yield from (f"Why: {cause}" for cause in [clean(alert.cause, _CAUSE)] if cause)
        yield clean(alert.note, _CAUSE)


def _line(alert: Alert, card: Card) -> Line:
    shared = common(card.alerts)
    own = [(name, value) for name, value in alert.labels.items() if name not in shared]
    same = all(other.rule == alert.rule for other in card.alerts)
    colour = "green" if alert.status == "resolved" else _colour(alert)
    rule = "" if same else clean(alert.rule, 60)
    return Line(colour, rule, tuple(labelled(own[:4])), figure(alert), alert.since)


def _colour(alert: Alert) -> str:
    return _SEVERITIES.get(alert.severity.lower(), "orange")


def common(alerts: Sequence[Alert]) -> dict[str, str]:
    """The labels that all of them have."""
    first, *others = (alert.labels.items() for alert in alerts)
    return {name: value for name, value in first if all((name, value) in other for other in others)}


def labelled(labels: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Clean names and values, at most LABELS of them."""
    shown = [(clean(name, _NAME), clean(value, 80) or UNKNOWN) for name, value in labels]
    if len(shown) > LABELS:
        return [*shown[: LABELS - 1], ("and", f"{len(shown) - LABELS + 1} more labels")]
    return shown


def _heavy(heavy: Heavy) -> tuple[str, str, str]:
    used = (
        f"{amount(heavy.cost_nano / 1e9, 'usd')} · {amount(heavy.calls, 'count')} calls"
        f" · {amount(heavy.tokens, 'tokens')}"
    )
    return clean(heavy.kind, 20), clean(heavy.name, 80) or UNKNOWN, used


def _link(url: str) -> str:
    # Percent-encoding what Slack or a terminal would read: < > | ` " and all that is not ASCII.
    inert = quote(clean(url, _URL), safe=":/?#[]@!$&'()*+,;=%~-._")
    return inert if len(inert) <= _URL and _LINK.match(inert) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
