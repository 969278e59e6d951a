"""The replies in a message's thread, in Slack's markup, escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import span
from llmvitals.notify.figure import figure
from llmvitals.notify.listing import common
from llmvitals.notify.message import labelled, linked
from llmvitals.notify.slack.blocks import date, marked_labels, trace
from llmvitals.record.notification import (
    Acknowledged,
    AlertsAdded,
    AlertsResolved,
    CallsRequested,
    FiresAgain,
    LevelChanged,
    MuteChanged,
    Resolved,
    VerdictChanged,
)
from llmvitals.record.view import UNKNOWN
from llmvitals.wording import clean, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.notification import Change, MessageState, Muted, Reply

NAMED: Final = 3
"""The most alerts that a reply names; of the others it gives the number."""
_TEXT: Final = 3_900
"""Slack asks for no more than 4,000 characters. A single line may be a little longer, where it is hostile."""
_STEERS: Final = {"block": "calls are blocked", "warn": "calls are warned", "": "calls go through again"}


def drawn(reply: Reply, *, trace_url: str = "") -> str:
    """Return the text of a reply, at most as long as Slack takes. trace_url: see the setting."""
    state = reply.state
    parts = [text for change in reply.changes if (text := _of_alerts(change, state))]
    lines = [_timed(max(alert.at for alert in state.alerts), "\n".join(parts))] if parts else []
    lines += filter(None, (_of_incident(change, state, trace_url) for change in reply.changes))
    return _cut("\n".join(lines))


def _of_incident(change: Change, state: MessageState, trace_url: str) -> str:
    match change:
        case Resolved(at, lasted):
            return _timed(at, f"resolved after {span(lasted)}")
        case Acknowledged(by, at):
            return _timed(at, f"acknowledged by {escape(clean(by, 80)) or UNKNOWN}")
        case MuteChanged(mutes):
            return "; ".join(map(_mute, mutes)) or "no longer muted"
        case CallsRequested():
            return _calls(state, trace_url)
        case _:
            return ""


def _of_alerts(change: Change, state: MessageState) -> str:
    shared = common(state.alerts)
    match change:
        case FiresAgain(alerts):
            return f"fires again: {_list(alerts, shared, 0)}"
        case AlertsAdded(alerts, number):
            return f"+{number:,} alert{'s' if number > 1 else ''}: {_list(alerts, shared, number)}"
        case LevelChanged(alert, rose):
            word = "rose to" if rose else "now at"
            level = f"{word} {escape(clean(alert.level, 20))} ({escape(figure(alert))})"
            return _which(alert, state, shared) + level
        case VerdictChanged(alert):
            return _which(alert, state, shared) + _STEERS.get(alert.verdict, _STEERS[""])
        case AlertsResolved(alerts):
            left = f"; {state.firing:,} of {state.total:,} still fire" if state.total > 1 else ""
            return f"over: {_list(alerts, shared, len(alerts))}{left}"
        case _:
            return ""


def _calls(state: MessageState, trace_url: str) -> str:
    """Return the exemplars of every alert, for whom asked for calls."""
    shared = common(state.alerts)
    lines: list[str] = []
    for alert in state.alerts:
        traces = " ".join(trace(*linked(exemplar, trace_url)) for exemplar in alert.exemplars[:5])
        if traces:
            lines.append(_which(alert, state, shared) + traces)
    if not lines:
        return "No single call stands for this alert."
    return "\n".join(["Calls to look at", *lines])


def _which(alert: Alert, state: MessageState, shared: dict[str, str]) -> str:
    return f"{_where(alert, shared)}: " if state.total > 1 else ""


def _mute(mute: Muted) -> str:
    reason = escape(clean(mute.reason, 200))
    return reason if mute.until is None else f"{reason} until {date(mute.until)}"


def _list(alerts: Sequence[Alert], shared: dict[str, str], number: int) -> str:
    named = [f"{_where(alert, shared)} ({escape(figure(alert), 200)})" for alert in alerts[:NAMED]]
    more = max(number, len(alerts)) - len(named)
    return ", ".join([*named, *([f"and {more:,} more"] if more > 0 and named else [])]) or f"{number:,}"


def _where(alert: Alert, shared: dict[str, str]) -> str:
    """Which alert of the card it is: the labels that not all have, else its rule."""
    own = {name: value for name, value in alert.labels.items() if name not in shared}
    return marked_labels(labelled(list(own.items())[:4])) or escape(clean(alert.rule, 80)) or UNKNOWN


def _timed(at: int, text: str) -> str:
    return f"{date(at, '{time}')} {text}"


def _cut(text: str) -> str:
    """Whole lines only, so that no link or entity is cut in two."""
    first, *lines = text.split("\n")
    room, kept = _TEXT - len(first), [first]
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)
