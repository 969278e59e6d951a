"""What incidents hand to notifiers: the state of a message, what changed about it, and what to say where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from llmvitals.wording import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.record.alert import Alert
    from llmvitals.record.matcher import Matcher

MOST: Literal[20] = 20
"""The most alerts that a state holds; of the others it has only the number."""


@dataclass(frozen=True, slots=True)
class Muted:
    """Why an alert is not sent at present.

    reason: "silenced by Ann", "muted: weekends", "ProviderFails fires for openai". until: when that ends
    (µs), where it is known. by: who silenced it, "" where nobody did.
    """

    reason: str
    until: int | None = None
    by: str = ""

    def __str__(self) -> str:
        """The reason and the time, in UTC."""
        return self.reason if self.until is None else f"{self.reason} until {moment(self.until)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """What the message of an incident says now. Times in µs since 1970.

    incident: its id. alerts: at most MOST, those that fire before those that are over, the most urgent and
    then the newest first; never empty. firing, total: how many of its alerts fire now, and how many there
    were. acknowledged: by whom and when. unheard: what mutes it at present, () where nothing does. digest:
    alerts of many groups that a storm brought at once. matchers: what a silence of this incident matches,
    from its group's labels; () for a state that can't be silenced as a whole, such as a digest. again: when
    it was last repeated that it still fires. late: it is sent late, because llmvitals was down or behind:
    until when, and how many other alerts began and ended unsent meanwhile. muted: episodes of alerts that are
    muted while others are heard; neither firing nor total counts them, and they come last. rules: of how many
    rules its alerts are; blocked: how many of those that fire block calls; None: as many as `alerts` say.
    mention: whom it mentions, see Route; only a message that is new does.
    """

    incident: str
    status: Literal["firing", "resolved"]
    alerts: tuple[Alert, ...]
    firing: int
    total: int
    since: int
    until: int | None = None
    acknowledged: tuple[str, int] | None = None
    unheard: tuple[Muted, ...] = ()
    digest: bool = False
    matchers: tuple[Matcher, ...] = ()
    again: int | None = None
    late: tuple[int, int] | None = None
    muted: frozenset[str] = frozenset()
    rules: int | None = None
    blocked: int | None = None
    mention: tuple[str, ...] = ()

    @classmethod
    def alone(cls, alert: Alert) -> Self:
        """Return the state of an alert that is an incident of its own, under the episode's name."""
        return cls(
            incident=alert.episode,
            status=alert.status,
            alerts=(alert,),
            firing=int(alert.status == "firing"),
            total=1,
            since=alert.since,
            until=alert.until,
            matchers=alert.itself,
        )

    @property
    def chief(self) -> Alert:
        """The alert that the title is about."""
        return self.alerts[0]

    @property
    def number_of_rules(self) -> int:
        """Of how many rules its alerts are, without those that are muted."""
        if self.rules is not None:
            return self.rules
        return len({alert.rule for alert in self.alerts if alert.episode not in self.muted})

    @property
    def number_blocked(self) -> int:
        """How many of its alerts block calls."""
        if self.blocked is not None:
            return self.blocked
        heard = (alert for alert in self.alerts if alert.episode not in self.muted)
        return sum(alert.status == "firing" and alert.verdict == "block" for alert in heard)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notifier put a message: in Slack the channel's id and `ts`; both "" where it has none."""

    channel: str = ""
    ts: str = ""


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


@dataclass(slots=True, kw_only=True)
class Notification:
    """What has to be said; a delivery ticks off what was said, so the same one may be delivered again.

    place: the message to edit, None to post one in `channel`. replies: for its thread, oldest first; a
    notifier without threads posts the state again if there are any. uncertain: any of it may have been said
    without our knowing, as after a restart. since: no message about it can be older (s since 1970). plain:
    without markup, because the notifier refused it. moved: only values have changed, so others go first.
    sent: the message says the state, the replies are left. thread: whether the replies are said; without it
    only those that somebody asked for. mention: whom a new message mentions, see Route.
    """

    state: MessageState
    channel: str
    place: Place | None = None
    replies: list[Reply] = field(default_factory=list)
    uncertain: bool = False
    since: float = 0.0
    plain: bool = False
    moved: bool = False
    sent: bool = False
    thread: bool = True
    mention: tuple[str, ...] = ()
