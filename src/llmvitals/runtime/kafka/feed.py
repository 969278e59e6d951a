"""The interface between the Kafka transport and the runners: a consumer group as the runners see it."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

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

Clock: TypeAlias = Callable[[], Awaitable[None]]
"""A function that is called every `settings.flush`."""


class Batch(NamedTuple):
    """The records of one partition from one fetch.

    stamp: names the uninterrupted reading that began with a seek. start: where this fetch began, end: where
    the next one begins. Offsets between start and end that no record has are holes in the log.
    """

    stamp: int
    start: int
    end: int
    records: Sequence[Record]


class Bounds(NamedTuple):
    """A partition's oldest offset and the one after its newest."""

    beginning: int
    end: int


class Feed(Protocol):
    """One generation of the group's membership. After a rebalance it is of no use any more."""

    generation: int
    stamp: int

    def holds(self) -> bool:
        """Whether the partitions are still ours, as far as this process knows."""

    def caught_up(self, partition: TopicPartition, offset: int) -> bool:
        """Whether `offset` is the end of the partition."""

    def sources(self) -> dict[str, int]:
        """Input topic → number of its partitions."""

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, str] | None]:
        """What the group has committed: offset and metadata."""

    async def topic_ids(self) -> dict[str, str]:
        """Input topic → its id, which no later topic of that name has; "" where the broker gives none."""

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Which offsets Kafka has."""

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from here, within the same stamp."""

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        """Commit under exactly this generation; False: it is over. Raises KafkaError otherwise."""


class Work(Protocol):
    """What is done with the records of a process's topics: the transport calls it, `app` starts it."""

    topics: tuple[str, ...]
    failed: BaseException | None

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Take these partitions over; give the offsets to read from."""

    async def save(self, *, last: bool = False) -> bool:
        """Make what is done safe; last: at the end of this generation. False: it is over already.

        Also called once the seeks are done, before anything is read, so that no zombie's later checkpoint
        can be taken for the newest.
        """

    def forget(self) -> None:
        """The partitions are no longer ours."""

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Do the work on a batch."""

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """The next offset is not in Kafka."""

    def recreated(self, topic: str, *, had: str, now: str) -> LlmvitalsError:
        """Why the worker ends: a topic has another id than it had when its partitions were taken over."""

    def adopt(self, rules: Reread) -> bool:
        """Use the rules that were read anew; True: the partitions have to be taken over again for that."""

    def clocks(self) -> Sequence[Clock]:
        """Return the functions to call every `settings.flush`, each independently of the others."""

    def progress(self) -> list[Progress]:
        """How far each partition is."""


class Host(Protocol):
    """The app, as far as the transport needs it. stage: its process's kind."""

    settings: Settings
    stage: str
    work: Work

    async def fail(self, error: BaseException) -> None:
        """End the worker because of this error."""

    def reading(self, on: bool) -> None:
        """Whether the partitions that are ours are being read."""


class Progress(NamedTuple):
    """How far a partition is read; waiting: for what, if it is not this process's own fault.

    pieces: of work that are done, which tells that one record that brings much about is being worked on.
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
    """The batch's records from the expected offset on.

    What lies before it was applied already. Raises Refused when the batch begins behind it; a jump within
    an uninterrupted reading is a hole in the log (transactions, compaction) and no reason.
    """
    if batch.start > expected:
        raise Refused(expected)
    if not batch.records or batch.records[0].offset >= expected:
        return batch.records
    return batch.records[bisect_left(batch.records, expected, key=lambda record: record.offset) :]


def recreated(topic: str, *, had: str, now: str, own: bool, counted: int = 0) -> SourceRecreated:
    """The error for a topic that has another id than the one that was read.

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
    """The offset to read from: `offset`, or the oldest that there is.

    counted: the offset up to which records were applied. Raises SourceRecreated when the topic ends before.
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
