"""Many alerts in few lines: by rule, with what they share said once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.metrics.quantity import amount, percent, span
from llmvitals.metrics.words import FACETS
from llmvitals.notify.figure import bound, figure, noted, spent, timed, value, worst
from llmvitals.record.alert import Outlook
from llmvitals.record.notification import MOST
from llmvitals.record.view import UNKNOWN
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.notify.figure import Sentence, Timed
    from llmvitals.record.alert import Alert
    from llmvitals.record.notification import MessageState

NAMES: Final = 3
"""The most labels that a line shows."""
_NOTE: Final = 120
_STEERS: Final = {"block": "blocked", "warn": "warned"}


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert: its colour, the values that tell it apart, what is to be said of it, since when (µs).

    lasted: how long, in place of since. muted: it is not heard at present.
    """

    colour: str
    values: tuple[str, ...]
    facts: tuple[Sentence, ...]
    since: int | None
    lasted: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class AlertLines:
    """The alerts of one rule ("" where the title names it). head: what the lines share, and their names."""

    rule: str
    head: tuple[Timed, ...]
    lines: tuple[AlertLine, ...]


class _Same(NamedTuple):
    """What is the same for all alerts of a rule, and so is said once above them."""

    limit: bool
    end: bool
    level: bool


def listed(state: MessageState, colours: Mapping[str, str]) -> tuple[AlertLines, ...]:
    """Return a state's alerts by rule, those that are muted last; colours: episode → colour."""
    rules: dict[str, list[Alert]] = {}
    for alert in sorted(state.alerts[:MOST], key=lambda alert: alert.episode in state.muted):
        rules.setdefault(alert.rule, []).append(alert)
    shared = common(state.alerts)
    return tuple(_of(state, alerts, shared, colours) for alerts in rules.values())


def common(alerts: Sequence[Alert]) -> dict[str, str]:
    """Return the labels that all alerts share."""
    first, *others = (alert.labels.items() for alert in alerts)
    return {name: value for name, value in first if all((name, value) in other for other in others)}


def _of(
    state: MessageState, alerts: list[Alert], shared: Mapping[str, str], colours: Mapping[str, str]
) -> AlertLines:
    names = [name for alert in alerts for name in alert.labels if name not in shared]
    kept = list(dict.fromkeys(names))[:NAMES]
    limits, ends = {bound(alert) for alert in alerts}, {alert.ends for alert in alerts}
    levels = {(alert.facet, clean(alert.level, 20)) for alert in alerts if alert.bound == "budget"}
    several = state.digest or state.number_of_rules > 1
    same = _Same(limit=len(limits) == 1, end=len(ends) == 1, level=len(alerts) > len(levels) == 1)
    fires = any(alert.status == "firing" for alert in alerts)
    head: list[Timed] = [("by " + ", ".join(clean(name, 40) for name in kept), None)] if kept else []
    head += [(text, None) for text in limits if text and same.limit]
    head += [(_part(*level), None) for level in levels if any(level) and same.level and fires]
    head += [("period ends", end) for end in ends if same.end and end is not None and fires]
    lines = tuple(_line(alert, kept, state, same, colour=colours[alert.episode]) for alert in alerts)
    return AlertLines(clean(alerts[0].rule, 60) if several else "", tuple(head), lines)


def _line(alert: Alert, names: Sequence[str], state: MessageState, same: _Same, *, colour: str) -> AlertLine:
    over = alert.status == "resolved"
    facts = [(fact,) for fact in _budget(alert, same)] if alert.bound == "budget" else []
    return AlertLine(
        colour=colour,
        values=tuple(clean(alert.labels[name], 60) or UNKNOWN for name in names if name in alert.labels),
        facts=tuple(facts) or (timed(_figure(alert, same=same.limit), alert.at),),
        since=None if state.digest or over or noted(alert) else alert.since,
        lasted=f"lasted {span((alert.until or alert.at) - alert.since)}" if over else "",
        muted=alert.episode in state.muted,
    )


def _part(facet: str, level: str) -> str:
    """Which part of a budget's rule speaks."""
    return FACETS.get(facet, clean(facet, 20)) if facet else f"level {level}" if level else ""


def _budget(alert: Alert, same: _Same) -> Iterator[Timed]:
    """Which part of the rule speaks, and how much of the budget is used."""
    outlook, over = alert.outlook or Outlook(), alert.status == "resolved"
    if not alert.facet:
        yield "" if same.level or over else _part("", clean(alert.level, 20)), None
    elif alert.facet == "burn" and not over and (outlook.rate or alert.height):
        yield f"{FACETS['burn']} {outlook.rate or alert.height:.3g}×", None
        if outlook.exhausted is not None:
            yield "gone by", outlook.exhausted
    elif alert.facet == "forecast" and not over and outlook.expected is not None:
        yield f"{FACETS['forecast']} {amount(outlook.expected, alert.unit)}", None
    else:
        yield "" if same.level and not over else _part(alert.facet, ""), None
    used = f"{spent(alert)} · {percent(alert.value, alert.limit)}" if same.limit else figure(alert)
    yield used.removesuffix(" · "), None
    if not over and alert.verdict in _STEERS:
        yield _STEERS[alert.verdict], None
    if not over and not same.end and alert.ends is not None:
        yield "period ends", alert.ends


def _figure(alert: Alert, *, same: bool) -> str:
    """same: the limit is said above."""
    if noted(alert) and alert.note:
        return clean(alert.note, _NOTE)
    if alert.status == "resolved" and alert.peak not in {None, alert.value}:
        return " · ".join(filter(None, (worst(alert), "" if same else bound(alert))))
    return value(alert) if same else figure(alert)
