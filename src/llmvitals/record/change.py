"""What has changed about an incident since people last heard of it, as typed facts that a notifier draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.record.alert import Alert
    from llmvitals.record.message_state import MessageState, Muted


@dataclass(frozen=True, slots=True)
class Resolved:
    """The incident ended. at: when (µs). lasted: µs."""

    at: int
    lasted: int


@dataclass(frozen=True, slots=True)
class FiresAgain:
    """The incident had ended and fires again. alerts: those of the state that fire."""

    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class AlertsAdded:
    """Further alerts fire. alerts: those of them that the state has. number: how many there are in all."""

    alerts: tuple[Alert, ...]
    number: int


@dataclass(frozen=True, slots=True)
class LevelChanged:
    """An alert passed another level. rose: the new level is not lower than the old one."""

    alert: Alert
    rose: bool


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """A budget's alert blocks or warns callers, or no longer does."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class AlertsResolved:
    """Some alerts of an incident that goes on have ended."""

    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody looks after the incident. at: since when (µs)."""

    by: str
    at: int


@dataclass(frozen=True, slots=True)
class MuteChanged:
    """Other silences, mute times or inhibitions mute the incident; (): none does any more."""

    mutes: tuple[Muted, ...]


@dataclass(frozen=True, slots=True)
class CallsRequested:
    """Somebody asked for the calls behind the alerts: their exemplars are in the state."""


Change = (
    Resolved
    | FiresAgain
    | AlertsAdded
    | LevelChanged
    | VerdictChanged
    | AlertsResolved
    | Acknowledged
    | MuteChanged
    | CallsRequested
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to be said in the thread of a message. state: what the message says after the changes."""

    state: MessageState
    changes: tuple[Change, ...]

    @property
    def asked(self) -> bool:
        """Whether it answers somebody."""
        return any(isinstance(change, CallsRequested) for change in self.changes)


def changes(before: MessageState, after: MessageState) -> tuple[Change, ...]:
    """Return what people should hear of a change from one state to the next; () where there is nothing.

    A value that merely moves is no change: the message shows it. Alerts are known by their episodes; of
    those in `before` only status, level and verdict count.
    """
    if before.status == "firing" and after.status == "resolved":
        end = after.until or after.chief.at
        return (Resolved(end, end - after.since),)
    found: list[Change] = []
    if after.status == "firing":
        found += _of_alerts(before, after)
    if after.acknowledged and after.acknowledged != before.acknowledged:
        found.append(Acknowledged(*after.acknowledged))
    if after.unheard != before.unheard and after.status == "firing":
        found.append(MuteChanged(after.unheard))
    return tuple(found)


def _of_alerts(before: MessageState, after: MessageState) -> Iterator[Change]:
    previous = {alert.episode: alert for alert in before.alerts}
    were = {episode for episode, alert in previous.items() if alert.status == "firing"}
    firing = tuple(alert for alert in after.alerts if alert.status == "firing")
    added = tuple(alert for alert in firing if alert.episode not in were)
    kept = tuple(alert for alert in firing if alert.episode in were)
    if before.status == "resolved":
        yield FiresAgain(added or kept)
    elif after.total > before.total or added:
        yield AlertsAdded(added, max(after.total - before.total, len(added)))
    for alert in kept:
        old = previous[alert.episode]
        if alert.level and alert.level != old.level:
            yield LevelChanged(alert, alert.height >= old.height)
        if alert.verdict != old.verdict:
            yield VerdictChanged(alert)
    if ended := tuple(a for a in after.alerts if a.status == "resolved" and a.episode in were):
        yield AlertsResolved(ended)
