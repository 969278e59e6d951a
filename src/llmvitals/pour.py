"""Sinks driven by Kafka: each at its own pace, its offsets committed once it is done with them."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import SinkError
from llmvitals.feed import Progress, Refused, fresh, resume

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Sequence

    from aiokafka import TopicPartition

    from llmvitals.feed import Batch, Bounds, Feed
    from llmvitals.outbox import Outbox
    from llmvitals.pipeline import Meters, Sink, Tap
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings
    from llmvitals.tail import Tail

log = logging.getLogger(__name__)

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
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
    retrying: str | None = None

    @property
    def waiting(self) -> str | None:
        """For what: what the sink has raised, or what it says of itself while a call goes on."""
        health = getattr(self.sink, "health", None)
        return self.retrying or (health() if health else None)


class Pour:
    """A `feed.Work` that hands the records of topics to sinks.

    A sink that asks for a retry gets the same records again, after a while; the others go on meanwhile.
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
        """How far each partition is done. Also tells why a sink waits: one may for long within a call."""
        for line in self._lines.values():
            self._ready(line.name, line.waiting)
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

    async def _idle(self, line: _Line) -> None:
        if line.lock.locked() or not any(partition.topic == line.topic for partition in self._cups):
            return
        async with line.lock:
            await self._insist(line, self._leaving, partial(self._nudge, line))

    async def _give(self, line: _Line, partition: TopicPartition, records: Sequence[Record]) -> None:
        await self._begin(line)
        await self._outbox.deliver(await line.sink.take(partition.partition, records))

    async def _nudge(self, line: _Line) -> None:
        await self._begin(line)
        await line.sink.idle()

    async def _begin(self, line: _Line) -> None:
        if not line.started:
            await line.sink.start(line.history)
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
                self._waits(line, str(error))
                pause = error.retry_after or wait * random.uniform(0.8, 1.2)
                log.warning("%s: %s. Trying again in %.1f s.", line.name, error, pause)
                wait = min(wait * 2, _LONGEST_WAIT)
                try:
                    await asyncio.wait_for(leaving.wait(), pause)
                except TimeoutError:
                    continue
            else:
                self._waits(line, None)
                return True
        return False

    def _waits(self, line: _Line, reason: str | None) -> None:
        line.retrying = reason
        self._ready(line.name, line.waiting)


async def _pause(lock: asyncio.Lock) -> None:
    """Wait until nobody is at work, but not for long."""
    try:
        await asyncio.wait_for(lock.acquire(), _PARTING)
    except TimeoutError:
        return
    lock.release()
