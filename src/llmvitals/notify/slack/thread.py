"""What is said in a message's thread: what changed from one card to the next, in Slack's marks, escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.quantity import span
from llmvitals.notify.figure import figure
from llmvitals.notify.listing import common
from llmvitals.notify.message import labelled, linked
from llmvitals.notify.slack.blocks import date, dated, marked_labels, trace
from llmvitals.wording import clean, escape
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.message_state import MessageState

NAMED: Final = 3
"""So many alerts are named in a reply; of the others only the number is told."""
_TEXT: Final = 3_900
"""Slack asks for no more than 4,000 characters. A single line may be a little longer, where it is hostile."""
_WORDS: Final = ("", "minor", "major")
_STEERS: Final = {"block": "calls are blocked", "warn": "calls are warned", "": "calls go through again"}


def reply(before: MessageState, after: MessageState) -> str | None:
    """What a thread should hear of this change; None where nothing happened that one would want to be told.

    A value that merely moves is no news: the message shows it. Alerts are told apart by their episodes; of
    those in `before` only status, level and verdict count.
    """
    if before.status == "firing" and after.status == "resolved":
        end = after.until or after.chief.at
        return _said(end, [f"resolved after {span(end - after.since)}"])
    at = max(alert.at for alert in after.alerts)
    parts = [*_alerts(before, after)] if after.status == "firing" else []
    said = [_said(at, parts)] if parts else []
    if after.acknowledged and after.acknowledged != before.acknowledged:
        who, when = after.acknowledged
        said.append(_said(when, [f"acknowledged by {_name(who)}"]))
    if after.unheard != before.unheard and after.status == "firing":
        said.append(dated(escape(clean(after.unheard, 200))) if after.unheard else "no longer kept quiet")
    return _cut("\n".join(said)) or None


def calls(card: MessageState, *, trace_url: str = "") -> str:
    """Calls to look at, for whom asks: the exemplars of every alert on the card."""
    shared = common(card.alerts)
    lines: list[str] = []
    for alert in card.alerts:
        traces = " ".join(trace(*linked(one, trace_url)) for one in alert.exemplars[:5])
        line = f"{_where(alert, shared)}: {traces}" if card.total > 1 else traces
        if traces:
            lines.append(line)
    if not lines:
        return "No single call stands for this alert."
    return _cut("\n".join(["Calls to look at", *lines]))


def _alerts(before: MessageState, after: MessageState) -> Iterator[str]:
    was = {alert.episode: alert for alert in before.alerts}
    fresh = [a for a in after.alerts if a.status == "firing" and _status(was, a) != "firing"]
    over = [a for a in after.alerts if a.status == "resolved" and _status(was, a) == "firing"]
    kept = [a for a in after.alerts if a.status == "firing" and _status(was, a) == "firing"]
    shared = common(after.alerts)
    if before.status == "resolved":
        yield f"fires again: {_list(fresh or kept, shared, 0)}"
    elif after.total > before.total or fresh:
        number = max(after.total - before.total, len(fresh))
        yield f"+{number:,} alert{'s' if number > 1 else ''}: {_list(fresh, shared, number)}"
    for alert in kept:
        old = was[alert.episode]
        where = f"{_where(alert, shared)}: " if after.total > 1 else ""
        if alert.level and alert.level != old.level:
            word = "rose to" if _height(alert.level) >= _height(old.level) else "now at"
            yield f"{where}{word} {escape(clean(alert.level, 20))} ({escape(figure(alert))})"
        if alert.verdict != old.verdict:
            yield where + _STEERS.get(alert.verdict, _STEERS[""])
    if over:
        left = f"; {after.firing:,} of {after.total:,} still fire" if after.total > 1 else ""
        yield f"over: {_list(over, shared, len(over))}{left}"


def _status(was: dict[str, Alert], alert: Alert) -> str:
    return was[alert.episode].status if alert.episode in was else ""


def _height(level: str) -> float:
    """How high a level is: 80.0 for "80%", 14.4 for "14.4x"; words are ordered by their place here."""
    if level in _WORDS:
        return _WORDS.index(level)
    try:
        return float(level.strip("% x"))
    except ValueError:
        return 0.0


def _list(alerts: Sequence[Alert], shared: dict[str, str], number: int) -> str:
    named = [f"{_where(alert, shared)} ({escape(figure(alert), 200)})" for alert in alerts[:NAMED]]
    more = max(number, len(alerts)) - len(named)
    return ", ".join([*named, *([f"and {more:,} more"] if more > 0 and named else [])]) or f"{number:,}"


def _where(alert: Alert, shared: dict[str, str]) -> str:
    """Which alert of the card it is: the labels that not all have, else its rule."""
    own = {name: value for name, value in alert.labels.items() if name not in shared}
    return marked_labels(labelled(list(own.items())[:4])) or escape(clean(alert.rule, 80)) or UNKNOWN


def _said(at: int, parts: Sequence[str]) -> str:
    return f"{date(at, '{time}')} " + "\n".join(parts)


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


def _name(who: str) -> str:
    return escape(clean(who, 80)) or UNKNOWN
