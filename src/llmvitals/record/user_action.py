"""What people do about alerts, as it lies on the compacted `llm.silences.v1`.

The CLI and the buttons in Slack write there; the incident sink reads it. The newest record of a key counts.
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
"""Bytes of an action, at most: its texts are copied into records of incidents, which Kafka has to take."""
Time = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800 * SECOND)]
"""µs since 1970, before the year 10000."""


class Silence(msgspec.Struct, frozen=True, kw_only=True, tag="silence"):
    """No notifications are sent for alerts that match all matchers, from `starts` until `ends` (µs).

    The alerts go on firing and resolving meanwhile. kind: "override" also lifts the verdict of the budgets
    that match. incident: the silence ends with this incident at the latest. To expire a silence, write it
    again with `ends` set to now.
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
        """The key of its record."""
        return f"silence/{self.id}".encode()

    def covers(self, marks: Mapping[str, str], now: int) -> bool:
        """Return whether an alert with these labels (`marks`) is silenced now (µs)."""
        return self.starts <= now < self.ends and all_match(self.matchers, marks)


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """Somebody has taken an incident on. by: a name that people know."""

    incident: str
    by: str
    at: Time

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return f"ack/{self.incident}".encode()


class Question(msgspec.Struct, frozen=True, kw_only=True, tag="calls"):
    """Somebody asks for an incident's calls: their trace ids are posted to its thread, once."""

    incident: str
    by: str
    at: Time

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return f"calls/{self.incident}".encode()


UserAction = Silence | Acknowledgement | Question


def encode(action: UserAction) -> bytes:
    """Return it as JSON, with the kind of action as "type"."""
    return msgspec.json.encode(action)


def decode(data: bytes) -> UserAction:
    """Decode JSON; unknown fields are ignored. The data is not trusted: anybody may write to that topic.

    Raises msgspec.ValidationError or DecodeError, also for a silence without matchers and for an invalid
    regex.
    """
    if len(data) > LARGEST:
        raise msgspec.ValidationError(f"{len(data):,} bytes are too many for an action")
    action = _decoder.decode(data)
    if isinstance(action, Silence):
        _check(action.matchers)
    return action


def _check(matchers: tuple[Matcher, ...]) -> None:
    if not matchers:
        raise msgspec.ValidationError("a silence without matchers would mute everything")
    for matcher in matchers:
        if matcher.op in ("=~", "!~"):
            try:
                checked(matcher.name, matcher.value)
            except ValueError as error:
                raise msgspec.ValidationError(str(error)) from error


_decoder: msgspec.json.Decoder[UserAction] = msgspec.json.Decoder(UserAction)
