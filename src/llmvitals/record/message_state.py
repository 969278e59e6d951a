"""An incident as people see it: what its one message says of all its alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from llmvitals.wording import moment

if TYPE_CHECKING:
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
