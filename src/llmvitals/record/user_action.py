"""What people do about alerts, as it lies on the compacted `llm.silences.v1`, whoever wrote it.

The CLI writes there, and so does every worker that hears a button in Slack; the owner of the alerts reads.
The newest record of a key counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from llmvitals.record.matcher import Matcher, all_match
from llmvitals.record.pattern import checked
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 65_536
"""Bytes of an act, at most: its texts go on into records of incidents, which have to fit into Kafka's own."""
Time = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800 * SECOND)]
"""µs since 1970, before the year 10000."""


class Silence(msgspec.Struct, frozen=True, kw_only=True, tag="silence"):
    """Alerts that match all matchers are not told from `starts` until `ends` (µs); they live on unheard.

    kind: "override" also lifts the verdict of the budgets that match. incident: it lasts no longer than this
    incident. An ended silence is one whose `ends` has passed: expiring writes it again with `ends` now.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts: Time
    ends: Time
    by: str
    comment: str = ""
    kind: Literal["silence", "override"] = "silence"
    incident: str = ""

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"silence/{self.id}".encode()

    def covers(self, marks: Mapping[str, str], now: int) -> bool:
        """Whether an alert with these marks is silenced now (µs)."""
        return self.starts <= now < self.ends and all_match(self.matchers, marks)


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """Somebody looks after an incident. by: a name that people know."""

    incident: str
    by: str
    at: Time

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"ack/{self.incident}".encode()


class Question(msgspec.Struct, frozen=True, kw_only=True, tag="calls"):
    """Somebody wants to see an incident's calls: their trace ids go into the thread, once."""

    incident: str
    by: str
    at: Time

    @property
    def key(self) -> bytes:
        """Of the record."""
        return f"calls/{self.incident}".encode()


UserAction = Silence | Acknowledgement | Question


def encode(act: UserAction) -> bytes:
    """JSON, with the kind of act as "type"."""
    return msgspec.json.encode(act)


def decode(data: bytes) -> UserAction:
    """Back from JSON; unknown fields are ignored. It comes from outside: anybody may write to that topic.

    Raises msgspec.ValidationError or DecodeError, also for what would mute everything for want of matchers,
    and for a regex that is none.
    """
    if len(data) > LARGEST:
        raise msgspec.ValidationError(f"{len(data):,} bytes are too many for an act")
    act = _decoder.decode(data)
    if isinstance(act, Silence):
        _refuse(act.matchers)
    return act


def _refuse(matchers: tuple[Matcher, ...]) -> None:
    if not matchers:
        raise msgspec.ValidationError("a silence without matchers would mute everything")
    for matcher in matchers:
        if matcher.op in ("=~", "!~"):
            try:
                checked(matcher.name, matcher.value)
            except ValueError as error:
                raise msgspec.ValidationError(str(error)) from error


_decoder: msgspec.json.Decoder[UserAction] = msgspec.json.Decoder(UserAction)
