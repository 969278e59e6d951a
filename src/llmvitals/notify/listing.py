"""Many alerts in few lines: by rule, with what they share said once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import span
from llmvitals.notify.figure import bound, figure, noted, value
from llmvitals.record.message_state import MOST
from llmvitals.record.view import UNKNOWN
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.message_state import MessageState

NAMES: Final = 3
"""The most labels that a line shows."""
_NOTE: Final = 120


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert: its colour, the values that tell it apart, its value, and since when (µs) or how long."""

    colour: str
    values: tuple[str, ...]
    figure: str
    since: int | None
    lasted: str = ""


@dataclass(frozen=True, slots=True)
class AlertLines:
    """The alerts of one rule ("" where the title names it). head: names of the lines' values, the limit."""

    rule: str
    head: tuple[str, ...]
    lines: tuple[AlertLine, ...]


def listed(state: MessageState, colours: Mapping[str, str]) -> tuple[AlertLines, ...]:
    """Return a state's alerts, in their order, by rule; colours: episode → colour."""
    rules: dict[str, list[Alert]] = {}
    for alert in state.alerts[:MOST]:
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
    limits = {bound(alert) for alert in alerts}
    several = state.digest or any(alert.rule != state.chief.rule for alert in state.alerts)
    same = len(limits) == 1
    head = ["by " + ", ".join(clean(name, 40) for name in kept)] if kept else []
    head += [*filter(None, limits)] if same else []
    lines = tuple(_line(alert, kept, colours, same=same, timed=not state.digest) for alert in alerts)
    return AlertLines(clean(alerts[0].rule, 60) if several else "", tuple(head), lines)


def _line(
    alert: Alert, names: Sequence[str], colours: Mapping[str, str], *, same: bool, timed: bool
) -> AlertLine:
    over = alert.status == "resolved"
    return AlertLine(
        colour=colours[alert.episode],
        values=tuple(clean(alert.labels[name], 60) or UNKNOWN for name in names if name in alert.labels),
        figure=_figure(alert, same=same),
        since=alert.since if timed and not over and not noted(alert) else None,
        lasted=f"lasted {span((alert.until or alert.at) - alert.since)}" if over else "",
    )


def _figure(alert: Alert, *, same: bool) -> str:
    """same: the limit is said above."""
    if noted(alert) and alert.note:
        return clean(alert.note, _NOTE)
    return value(alert) if same else figure(alert)
