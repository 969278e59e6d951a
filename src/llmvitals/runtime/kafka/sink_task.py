"""A sink at work on its topic."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from llmvitals.record.log import Message, Record
    from llmvitals.runtime.kafka.followed_topics import After
    from llmvitals.stage import SinkBinding

log = logging.getLogger(__name__)

T = TypeVar("T")

PARTING: Final = 5.0
"""Seconds that a batch in work gets when the partitions go to somebody else."""
_LONGEST_ASKED: Final = 120.0
"""Seconds that a sink may ask us to wait."""


@dataclass(slots=True)
class SinkTask:
    """One tap at work: everything on its topic happens under `lock`."""

    tap: SinkBinding
    topic: str
    history_topic: str | None
    beside_topic: str | None
    after: After
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    history: Sequence[Record] | None = None
    beside: Sequence[Record] = ()
    started: bool = False
    awake: bool = False
    """The sink was started and has not been sent to rest since."""
    asked: bool = False
    """The sink is at work."""
    retrying: str | None = None
    """What the sink has raised."""
    told: str | None = None
    """What the sink said was wrong, as it was logged last."""

    @property
    def name(self) -> str:
        """As people know the topic."""
        return str(self.tap.topic)

    @property
    def sink(self) -> Any:
        """A `stage.Sink`, with whatever it has beside."""
        return self.tap.sink

    @property
    def waiting(self) -> str | None:
        """What keeps it from going on, if it is not this process's own fault."""
        return self.retrying or (f"{self.name}: no answer yet" if self.asked else None)

    def trouble(self) -> str | None:
        """Why it is not ready: what the sink raised, or says although its calls succeed; that is logged."""
        health = getattr(self.sink, "health", None)
        ails = health() if health else None
        if ails and ails != self.told:
            log.warning("%s: %s", self.name, ails)
        elif self.told and not ails:
            log.info("%s: all is well again", self.name)
        self.told = ails
        return ails or self.retrying


def patience(backoff: float, asked: float | None, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: the backoff, halved at random up to once, or what the sink asks for.

    chance: 0 … 1. The longest that may be asked for is two minutes.
    """
    return max(backoff * (1 - chance() / 2), min(asked or 0.0, _LONGEST_ASKED))


async def asking(line: SinkTask, call: Awaitable[T]) -> T:
    """The sink's answer."""
    line.asked = True
    try:
        return await call
    finally:
        line.asked = False


def acts(line: SinkTask, messages: Sequence[Message]) -> list[Message]:
    """Those for the topic beside, which anybody may write."""
    return [message for message in messages if message.topic is line.tap.beside]


async def pause(lock: asyncio.Lock) -> None:
    """Wait until nobody is at work, but not for long."""
    try:
        await asyncio.wait_for(lock.acquire(), PARTING)
    except TimeoutError:
        return
    lock.release()
