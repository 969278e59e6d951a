"""A message in a FakeSlack, and the rate limit for them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Posted:
    """A message that people see.

    channel: its id; `channel_name` as it was given to FakeSlack. ts: Slack's name of the message, unique.
    edits: earlier (text, blocks), oldest first. webhook: whether it came by the webhook. replies: its thread,
    oldest first; they have the `thread_ts`.
    """

    channel: str
    channel_name: str
    ts: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    thread_ts: str | None = None
    edits: list[tuple[str, list[Json]]] = field(default_factory=list)
    replies: list[Posted] = field(default_factory=list)
    webhook: bool = False

    @property
    def shown(self) -> str:
        """Return all texts of the message as one JSON text, to search for words."""
        return json.dumps([self.text, self.blocks], ensure_ascii=False)

    @property
    def thread(self) -> list[str]:
        """Return the texts of its replies."""
        return [reply.text for reply in self.replies]

    def as_slack(self, *, metadata: bool) -> Json:
        """Return the message as the Web API does."""
        own = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        thread = self.thread_ts or (self.ts if self.replies else None)
        return (
            own
            | ({"thread_ts": thread} if thread else {})
            | ({"metadata": self.metadata} if metadata and self.metadata else {})
        )


@dataclass(slots=True)
class TokenBucket:
    """Allows a burst, then `rate` a second."""

    rate: float
    burst: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.burst, time.monotonic()

    def wait(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = time.monotonic()
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now
        if self.left < 1:
            return (1 - self.left) / self.rate
        self.left -= 1
        return 0.0
