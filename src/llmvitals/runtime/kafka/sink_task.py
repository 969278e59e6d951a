"""A sink at work on its topic, and the topics that it follows besides: `beside` at once, `after` in time."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiokafka import TopicPartition

    from llmvitals.record.log import Message, Record
    from llmvitals.runtime.kafka.feed import Feed
    from llmvitals.runtime.kafka.tail import Tail
    from llmvitals.stage import Sink, SinkBinding

log = logging.getLogger(__name__)

_LOOK: Final = 5.0
"""Seconds that reading a followed topic may take."""

T = TypeVar("T")

PARTING: Final = 5.0
"""Seconds that a running batch may take to finish when the partitions are revoked."""
_LONGEST_ASKED: Final = 120.0
"""Seconds that a sink may ask the runner to wait."""


async def news(tail: Tail, topic: str | None) -> list[Record]:
    """Return what was written to a topic since the last call; what can't be read now is read next time."""
    if topic is None:
        return []
    try:
        return await asyncio.wait_for(tail.news(topic), _LOOK)
    except (KafkaError, TimeoutError) as error:
        log.debug("%s can't be read: %r", topic, error)
        return []


@dataclass(slots=True)
class After:
    """Follows the topic `after` of a `SinkBinding`; None: there is none.

    found: records that wait. upto: how far each partition of the sink's topic has to be taken before they are
    handed over.
    """

    topic: str | None
    found: list[Record] = field(default_factory=list)
    upto: dict[TopicPartition, int] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop what waits: other partitions may be assigned."""
        self.found, self.upto = [], {}

    async def news(self, tail: Tail, feed: Feed, taken: Mapping[TopicPartition, int]) -> list[Record]:
        """Return the records whose time has come; taken: how far the sink's partitions are taken."""
        if not self.found and (found := await news(tail, self.topic)):
            try:
                # Asked for after the records were read, so that these ends are behind all that came before.
                bounds = await asyncio.wait_for(feed.bounds(list(taken)), _LOOK)
            except (KafkaError, TimeoutError) as error:
                log.debug("the ends of a sink's topic can't be had: %r", error)
                return []  # the next record of the same key says more
            self.found, self.upto = found, {partition: bounds[partition].end for partition in taken}
        if any(taken.get(partition, -1) < end for partition, end in self.upto.items()):
            return []
        found = self.found
        self.forget()
        return found


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
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """See `feed.Clock`: set when the sink has taken records."""
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
