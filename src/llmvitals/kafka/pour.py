"""Sinks driven by Kafka: each at its own pace, its offsets committed once it is done with them."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmvitals.errors import SinkError
from llmvitals.kafka.feed import Progress, Refused, fresh, resume

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence

    from aiokafka import TopicPartition

    from llmvitals.kafka.feed import Batch, Bounds, Feed
    from llmvitals.kafka.outbox import Outbox
    from llmvitals.kafka.tail import Tail
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings
    from llmvitals.stage import Meters, Sink, Tap

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
_LONGEST_ASKED: Final = 120.0
"""Seconds that a sink may ask us to wait."""
_PARTING: Final = 5.0
"""Seconds that a batch in work gets when the partitions go to somebody else."""


@dataclass(slots=True)
class _Cup:
    """One partition: the offset done up to, and the one committed."""

    next: int
    committed: int


@dataclass(slots=True)
class _Line:
    """One tap at work: everything on its topic happens under `lock`."""

    name: str
    topic: str
    sink: Sink
    history_topic: str | None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    history: Sequence[Record] | None = None
    started: bool = False
    asked: bool = False
    """The sink is at work."""
    retrying: str | None = None
    """What the sink has raised."""

    @property
    def waiting(self) -> str | None:
        """What keeps it from going on, if it is not this process's own fault."""
        return self.retrying or (f"{self.name}: no answer yet" if self.asked else None)

    @property
    def trouble(self) -> str | None:
        """Why it is not ready: what the sink has raised, or says although its calls succeed."""
        health = getattr(self.sink, "health", None)
        return (health() if health else None) or self.retrying


class Pour:
    """A `feed.Work` that hands the records of topics to sinks.

    A sink that asks for a retry gets the same records again, after a while; the others go on meanwhile.
    ready: is told, by the name of a sink's topic, what keeps the sink from its work, or None.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        settings: Settings,
        *,
        tail: Tail,
        outbox: Outbox,
        meters: Meters,
        ready: Callable[[str, str | None], None],
    ) -> None:
        self._tail, self._outbox, self._meters, self._ready = tail, outbox, meters, ready
        self._lines = {
            settings.topic(tap.topic): _Line(
                str(tap.topic),
                settings.topic(tap.topic),
                tap.sink,
                tap.history and settings.topic(tap.history),
            )
            for tap in taps
        }
        self.topics = tuple(self._lines)
        self.failed: BaseException | None = None
        self._cups: dict[TopicPartition, _Cup] = {}
        self._feed: Feed | None = None
        self._leaving = asyncio.Event()

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._outbox.start()
        await self._tail.start()

    async def stop(self) -> None:
        """Close, the sinks too."""
        for line in self._lines.values():
            if stop := getattr(line.sink, "stop", None):
                await stop()
        await self._tail.stop()
        await self._outbox.stop()

    def clocks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """One for each sink, so that none waits for another."""
        return [partial(self._idle, line) for line in self._lines.values()]

    def progress(self) -> list[Progress]:
        """How far each partition is done."""
        return [
            Progress(partition, cup.next, self._lines[partition.topic].waiting)
            for partition, cup in self._cups.items()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Begin where the group has committed, else at the beginning. Raises SourceRecreated, KafkaError."""
        self.forget()
        commits, bounds = await feed.committed(partitions), await feed.bounds(partitions)
        cups = {}
        for partition in partitions:
            commit, begin = commits[partition], bounds[partition].beginning
            if commit:
                begin = resume(
                    partition, bounds[partition], self._meters, offset=commit[0], counted=commit[0]
                )
            cups[partition] = _Cup(begin, commit[0] if commit else -1)
        for line in self._lines.values():
            line.started = False
            if line.history_topic and any(partition.topic == line.topic for partition in partitions):
                line.history = await self._tail.whole(line.history_topic)
        self._leaving = asyncio.Event()
        self._feed, self._cups = feed, cups
        return {partition: cup.next for partition, cup in cups.items()}

    def forget(self) -> None:
        """What is not committed will be done again, by whoever is next."""
        self._leaving.set()
        self._feed, self._cups = None, {}
        for line in self._lines.values():
            self._tell(line)

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Hand a batch to its sink until it is done. Raises SinkError when there is no use in trying."""
        line, feed, leaving = self._lines[partition.topic], self._feed, self._leaving
        async with line.lock:
            cup = self._cups.get(partition)
            if cup is None or feed is None or batch.stamp != feed.stamp or leaving.is_set() or self.failed:
                return
            try:
                records = fresh(batch, cup.next)
            except Refused as gap:
                self._meters.count("offset_gaps", 1, topic=line.topic, partition=str(partition.partition))
                await feed.seek(partition, gap.expected)
                return
            if not records or await self._insist(
                line, leaving, partial(self._give, line, partition, records)
            ):
                cup.next = max(cup.next, batch.end)

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention overtook the reading: count what is lost and go on. Raises SourceRecreated."""
        cup, feed = self._cups.get(partition), self._feed
        if cup is None or feed is None:
            return
        async with self._lines[partition.topic].lock:
            cup.next = resume(partition, bounds, self._meters, offset=cup.next, counted=cup.next)
            await feed.seek(partition, cup.next)

    async def save(self, *, last: bool = False) -> bool:
        """Commit what is done; last: wait a moment for what is in work."""
        feed = self._feed
        if feed is None or self.failed or not feed.holds():
            return False
        if last:
            self._leaving.set()
            await asyncio.gather(*[_pause(line.lock) for line in self._lines.values()])
        moved = {partition: cup.next for partition, cup in self._cups.items() if cup.next != cup.committed}
        if moved and not await feed.commit({partition: (at, "") for partition, at in moved.items()}):
            return False
        for partition, at in moved.items():
            self._cups[partition].committed = at
        return True

    def _holds(self, line: _Line) -> bool:
        return any(partition.topic == line.topic for partition in self._cups)

    def _tell(self, line: _Line) -> None:
        self._ready(line.name, line.trouble if self._holds(line) else None)

    async def _idle(self, line: _Line) -> None:
        self._tell(line)
        if line.lock.locked() or not self._holds(line):
            return
        async with line.lock:
            await self._insist(line, self._leaving, partial(self._begin, line))

    async def _give(self, line: _Line, partition: TopicPartition, records: Sequence[Record]) -> None:
        await self._begin(line)
        await self._outbox.deliver(await _asking(line, line.sink.take(partition.partition, records)))

    async def _begin(self, line: _Line) -> None:
        if not line.started:
            await _asking(line, line.sink.start(line.history))
            line.started, line.history = True, None

    async def _insist(
        self, line: _Line, leaving: asyncio.Event, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> bool:
        """Call until it works; False when the partitions go to somebody else before it does."""
        wait = _FIRST_WAIT
        while not leaving.is_set():
            try:
                await call()
            except SinkError as error:
                if not error.retry:
                    raise
                pause = patience(wait, error.retry_after)
                self._waits(line, str(error), pause)
                # One that says when to come again may only be slow, as Slack is with a storm of alerts.
                wait = wait if error.retry_after else min(wait * 2, _LONGEST_WAIT)
                try:
                    await asyncio.wait_for(leaving.wait(), pause)
                except TimeoutError:
                    continue
            else:
                self._waits(line, None)
                return True
        line.retrying = None
        return False

    def _waits(self, line: _Line, reason: str | None, pause: float = 0.0) -> None:
        if reason and reason != line.retrying:
            log.warning("%s: %s. Trying again in %.1f s.", line.name, reason, pause)
        elif line.retrying and not reason:
            log.info("%s: it goes on", line.name)
        line.retrying = reason
        self._tell(line)


def patience(backoff: float, asked: float | None, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: the backoff, halved at random up to once, or what the sink asks for.

    chance: 0 … 1. The longest that may be asked for is two minutes.
    """
    return max(backoff * (1 - chance() / 2), min(asked or 0.0, _LONGEST_ASKED))


async def _asking(line: _Line, call: Awaitable[T]) -> T:
    """The sink's answer."""
    line.asked = True
    try:
        return await call
    finally:
        line.asked = False


async def _pause(lock: asyncio.Lock) -> None:
    """Wait until nobody is at work, but not for long."""
    try:
        await asyncio.wait_for(lock.acquire(), _PARTING)
    except TimeoutError:
        return
    lock.release()
