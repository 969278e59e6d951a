"""The interface between the Kafka transport and the runners: a consumer group as the runners see it."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from llmvitals.errors import AFRESH, SourceRecreated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import LlmvitalsError
    from llmvitals.meters import Meters
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings
    from llmvitals.stage import Reread

log = logging.getLogger(__name__)

Call: TypeAlias = Callable[[], Awaitable[None]]


TOGETHER: Final = 0.05
"""Seconds within which arrives what was written together."""


@dataclass(slots=True)
class Clock:
    """A function that is called at intervals.

    wanted: set it to have the function called TOGETHER later; what it is set for after that waits for a whole
    interval, so that a storm makes no more calls than one.
    """

    call: Call
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _early: bool = False

    async def next(self, interval: float) -> None:
        """Wait until the function has to be called; interval: seconds."""
        if self._early:
            await asyncio.sleep(interval)
            self._early = self.wanted.is_set()
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wanted.wait(), interval)
                self._early = True
                await asyncio.sleep(TOGETHER)
        self.wanted.clear()


class Batch(NamedTuple):
    """The records of one partition from one fetch.

    stamp: identifies the uninterrupted reading since a seek. start: where this fetch began; end: where the
    next one begins. Offsets between start and end that no record has are holes in the log.
    """

    stamp: int
    start: int
    end: int
    records: Sequence[Record]


class Bounds(NamedTuple):
    """A partition's oldest offset, and the offset after its newest."""

    beginning: int
    end: int


class Feed(Protocol):
    """The membership in one generation of the group. After a rebalance there is another one."""

    generation: int
    stamp: int

    def holds(self) -> bool:
        """Return whether this process still owns the partitions, as far as it knows."""

    def caught_up(self, partition: TopicPartition, offset: int) -> bool:
        """Return whether `offset` is the end of the partition."""

    def sources(self) -> dict[str, int]:
        """Return input topic → number of its partitions."""

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, str] | None]:
        """Return what the group has committed: offset and metadata."""

    async def topic_ids(self) -> dict[str, str]:
        """Return input topic → its id, which no later topic of that name has; "" where there is none."""

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Return the offsets that Kafka has."""

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading at this offset, with the same stamp."""

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        """Commit in this generation only; False: the generation is over. Raises KafkaError."""


class Work(Protocol):
    """Processes the records of a worker's topics: the transport calls it, `app` starts it."""

    topics: tuple[str, ...]
    failed: BaseException | None

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Take these partitions over; return the offsets to read from."""

    async def save(self, *, last: bool = False) -> bool:
        """Save what is done; last: at the end of this generation. False: the generation is over already.

        Also called after the seeks, before anything is read, so that a later checkpoint of a zombie is never
        taken for the newest.
        """

    def forget(self) -> None:
        """Give the partitions up."""

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Process a batch."""

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Continue after records that Kafka has deleted before they were read."""

    def recreated(self, topic: str, *, had: str, now: str) -> LlmvitalsError:
        """Return the error for a topic whose id changed since its partitions were taken over."""

    def adopt(self, rules: Reread) -> bool:
        """Use the rules that were read anew; True: the partitions have to be taken over again for that."""

    def clocks(self) -> Sequence[Clock]:
        """Return the clocks, which run every `settings.flush`, each independently of the others."""

    def progress(self) -> list[Progress]:
        """Return how far each partition is."""


class Host(Protocol):
    """The app, as far as the transport needs it. stage: the kind of the process."""

    settings: Settings
    stage: str
    work: Work

    async def fail(self, error: BaseException) -> None:
        """End the worker with this error."""

    def reading(self, on: bool) -> None:
        """Note whether the partitions of this process are being read."""


class Progress(NamedTuple):
    """How far a partition is read.

    waiting: what it waits for outside of this process, or None. pieces: the number of pieces done, which
    grows while one record causes much work.
    """

    partition: TopicPartition
    next: int
    waiting: str | None
    pieces: int = 0


@dataclass(slots=True)
class Refused(Exception):
    """A batch begins after the expected offset: records between are missing. Seek to `expected`."""

    expected: int


def fresh(batch: Batch, expected: int) -> Sequence[Record]:
    """Return the batch's records from the expected offset on; those before it were applied already.

    Raises Refused when the batch begins after the expected offset. A jump inside a batch is a hole in the log
    (transactions, compaction) and is accepted.
    """
    if batch.start > expected:
        raise Refused(expected)
    if not batch.records or batch.records[0].offset >= expected:
        return batch.records
    return batch.records[bisect_left(batch.records, expected, key=lambda record: record.offset) :]


def recreated(topic: str, *, had: str, now: str, own: bool, counted: int = 0) -> SourceRecreated:
    """Return the error for a topic that has another id than the one that was read.

    had, now: the two ids. own: it is one of llmvitals' own topics. counted: the offset it was read up to.
    """
    upto = f" up to offset {counted}" if counted else ""
    first = (
        "restore the old one, if it can be had"
        if own
        else "give the new topic another name and put that in LLMVITALS_INPUTS in the place of the old one: "
        "what was counted stays, and the new topic is counted from its beginning"
    )
    return SourceRecreated(
        f"{topic} is another topic than the one that was read{upto}: it was deleted and created again, or "
        f"Kafka is another cluster (topic id {now}, before {had}). Nothing is skipped silently. There are "
        f"two ways out: {first}; or begin afresh: {AFRESH}"
    )


def resume(partition: TopicPartition, bounds: Bounds, meters: Meters, *, offset: int, counted: int) -> int:
    """Return the offset to read from: `offset`, or the oldest one in Kafka.

    counted: the offset up to which records were applied. Raises SourceRecreated when the topic ends
    before it.
    """
    name = f"{partition.topic}[{partition.partition}]"
    if max(offset, counted) > bounds.end:
        raise SourceRecreated(
            f"{name} ends at offset {bounds.end}, but it was read up to {max(offset, counted)}: the topic "
            "was deleted and created again, or has lost records. Nothing is skipped silently: give the new "
            f"topic another name; or begin afresh: {AFRESH}"
        )
    if offset < bounds.beginning:
        lost = bounds.beginning - offset
        log.warning("%s: %d records were deleted by retention before they were read", name, lost)
        meters.count(
            "events_lost_by_retention", lost, topic=partition.topic, partition=str(partition.partition)
        )
    return max(offset, bounds.beginning)
