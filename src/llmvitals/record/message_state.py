"""An incident as people see it: the one message in Slack that tells of all its alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from llmvitals.record.alert import Alert
    from llmvitals.record.matcher import Matcher

MOST: Literal[20] = 20
"""Alerts on a card; of the others only the number is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageState:
    """What the message of an incident has to say now. Times in µs since 1970.

    incident: its id. alerts: at most MOST, those that fire before those that are over, the most urgent and
    then the newest first; never empty. firing, total: how many of its alerts fire now, and how many there
    were. acknowledged: by whom and when. unheard: why nothing is said at present ("silenced by Ann until …",
    "muted: weekends", "ProviderFails fires for openai"), or "". digest: alerts of many groups that a storm
    brought at once. matchers: what a silence of this incident matches, from its group's labels; () for a card
    that can't be silenced as a whole, such as a digest. again: when it was last repeated that it still fires.
    late: it is told late, because llmvitals was down or behind: until when, and how many other alerts began
    and ended untold meanwhile.
    """

    incident: str
    status: Literal["firing", "resolved"]
    alerts: tuple[Alert, ...]
    firing: int
    total: int
    since: int
    until: int | None = None
    acknowledged: tuple[str, int] | None = None
    unheard: str = ""
    digest: bool = False
    matchers: tuple[Matcher, ...] = ()
    again: int | None = None
    late: tuple[int, int] | None = None

    @classmethod
    def alone(cls, alert: Alert) -> Self:
        """The card of an alert that is an incident of its own, under the episode's name."""
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is: Slack's channel id and ts; both empty where it has none (webhook, terminal)."""

    channel: str = ""
    ts: str = ""
