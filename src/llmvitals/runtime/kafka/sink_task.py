"""The state of a sink at work on its topic."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from llmvitals.record.log import Message, Record
    from llmvitals.runtime.kafka.followed_topics import After
    from llmvitals.stage import Sink, SinkBinding

log = logging.getLogger(__name__)

T = TypeVar("T")

PARTING: Final = 5.0
"""Seconds that a running batch may take to finish when the partitions are revoked."""
_LONGEST_ASKED: Final = 120.0
"""Seconds that a sink may ask the runner to wait."""


@dataclass(slots=True)
class SinkTask:
    """One sink at work: everything on its topic happens under `lock`."""

    binding: SinkBinding
    topic: str
    history_topic: str | None
    beside_topic: str | None
    after: After
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    history: Sequence[Record] | None = None
    beside: Sequence[Record] = ()
    started: bool = False
    awake: bool = False
    """The sink was started, and `rest` was not called since."""
    busy: bool = False
    """A call of the sink is under way."""
    retrying: str | None = None
    """The SinkError because of which a call is tried again."""
    logged: str | None = None
    """What the sink's `health` said when it was last logged."""

    @property
    def name(self) -> str:
        """The topic's short name."""
        return str(self.binding.topic)

    @property
    def sink(self) -> Sink:
        """The sink of the binding."""
        return self.binding.sink

    @property
    def waiting(self) -> str | None:
        """What the sink waits for outside of this process, or None."""
        return self.retrying or (f"{self.name}: no answer yet" if self.busy else None)

    async def answer(self, call: Awaitable[T]) -> T:
        """Await a call of the sink, and count it as busy meanwhile."""
        self.busy = True
        try:
            return await call
        finally:
            self.busy = False

    def trouble(self) -> str | None:
        """Return why the sink is not ready: its `health`, a change of which is logged, or its SinkError."""
        health = self.sink.health()
        if health and health != self.logged:
            log.warning("%s: %s", self.name, health)
        elif self.logged and not health:
            log.info("%s: all is well again", self.name)
        self.logged = health
        return health or self.retrying

    def beside_only(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages for the `beside` topic, which every process may write."""
        return [message for message in messages if message.topic is self.binding.beside]

    async def settle(self) -> None:
        """Wait until no call is under way, for PARTING seconds at most."""
        try:
            await asyncio.wait_for(self.lock.acquire(), PARTING)
        except TimeoutError:
            return
        self.lock.release()


def patience(backoff: float, asked: float | None, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds until the next attempt.

    That is the backoff, shortened at random by up to a half, or what the sink asks for (`asked`, at most two
    minutes) if that is longer. chance: a random number in 0 … 1.
    """
    return max(backoff * (1 - chance() / 2), min(asked or 0.0, _LONGEST_ASKED))
