"""An incident's place in Slack, as it lies on the compacted `llm.incidents.v1`."""

from __future__ import annotations

from typing import Literal

import msgspec


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Where an incident's one message is, and what it says.

    id: the alert's episode. channel, ts: Slack's address of the message ("" for a webhook or stdout).
    at, level: the newest change that the message shows; an older or equal one is not news.
    """

    id: str
    status: Literal["firing", "resolved"]
    at: int
    level: str = ""
    channel: str = ""
    ts: str = ""
    since: int = 0

    def encode(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Incident:
        """Back from JSON. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)
