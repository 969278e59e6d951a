"""One generation of a consumer group's membership: a `feed.Feed` on aiokafka's consumer."""

# ruff: noqa: SLF001 - aiokafka's public commit is not fenced: only its coordinator knows the generation

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata

from llmvitals.runtime.kafka.connect import DISCOVERY_MS
from llmvitals.runtime.kafka.feed import Batch, Bounds
from llmvitals.runtime.kafka.parsed_records import hand_out_parsed
from llmvitals.runtime.kafka.topic_ids import topic_ids
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from aiokafka import TopicPartition

    from llmvitals.settings import Settings

log = logging.getLogger(__name__)

_LOOKS: Final = 10
"""So often the topics' ids are asked for before it is gone on without those that can't be had."""
ANSWER: Final = 5.0
"""Seconds that the broker may take to tell them, and the ends of the topics, while records are being read."""
_FENCED: Final = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)


class Thread(Protocol):
    """The parts of the consumer's thread that are used here.

    stamp: identifies the reading that began with our own seeks; None if there is none.
    positions: where the next batch of each partition begins.
    """

    stamp: int | None
    positions: dict[TopicPartition, int]

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the thread's loop."""

    def _ensure_consumer(self) -> Any: ...


def group_consumer(settings: Settings, stage: str, group: str) -> AIOKafkaConsumer:
    """Return the consumer of a stage's group, a static member if settings.instance is set."""
    session = duration(settings.session_timeout) // 1000
    return AIOKafkaConsumer(
        **settings.client(stage) | {"metadata_max_age_ms": DISCOVERY_MS},
        group_id=group,
        group_instance_id=f"{settings.instance}-{stage}" if settings.instance else None,
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
        enable_auto_commit=False,
        # We always seek. A reset would read a topic from its beginning without a word.
        auto_offset_reset="none",
        isolation_level="read_committed",
        session_timeout_ms=session,
        heartbeat_interval_ms=max(session // 10, 100),
        rebalance_timeout_ms=60_000,
        request_timeout_ms=max(40_000, session + 5_000),
        max_poll_interval_ms=300_000,
        # A partition that ran dry waits for the poll of the others, so polls are short.
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=1_048_576,
    )


async def drain(
    thread: Thread,
    wanted: Collection[TopicPartition],
    timeout: float,  # noqa: ASYNC109 - the broker's
) -> list[tuple[TopicPartition, Batch]]:
    """Return the fetched records of these partitions; wait up to `timeout` seconds. Runs on the thread.

    Raises ConsumerStoppedError, OffsetOutOfRangeError and other errors of aiokafka.
    """
    consumer = thread._ensure_consumer()
    fetcher = consumer._fetcher
    if consumer._closed or fetcher._closed:
        raise ConsumerStoppedError
    hand_out_parsed(fetcher)
    with fetcher._subscriptions.fetch_context():
        found = await fetcher.fetched_records(wanted, timeout=timeout)
    # No await from here: what was drained belongs to this stamp. Within one, aiokafka's stream has no
    # gaps, so a jump in the offsets is a hole in the log.
    stamp, subscription = thread.stamp, consumer._subscription.subscription
    if stamp is None or subscription is None or subscription.assignment is None:
        return []
    batches = []
    for partition, start in thread.positions.items():
        state = subscription.assignment.state_value(partition)
        if state is not None and state.has_valid_position and state.position > start:
            batches.append((partition, Batch(stamp, start, state.position, found.get(partition, ()))))
            thread.positions[partition] = state.position
    return batches


class Membership:
    """The generation and member id under which the partitions were assigned.

    aiokafka's coordinator may be in a later generation already: everything here is done under this one
    or fails. Methods whose name begins with an underscore run on the consumer's thread.
    """

    def __init__(self, thread: Thread, stamp: int, topics: tuple[str, ...]) -> None:
        self._thread, self.stamp, self._topics = thread, stamp, topics
        self.generation, self._member = self._now()
        self._ids: dict[str, str] = {}

    def _now(self) -> tuple[int, str]:
        coordinator = self._thread._ensure_consumer()._coordinator
        return coordinator.generation, coordinator.member_id

    def holds(self) -> bool:
        """Return whether the group is still in this generation, as far as this process knows."""
        return bool(self._member) and self._now() == (self.generation, self._member)

    def caught_up(self, partition: TopicPartition, offset: int) -> bool:
        """Return whether the partition was fetched to its last known end, which is at most `offset`."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(partition)
        if not state or self._thread.stamp != self.stamp or not state.has_valid_position:
            return False
        # The last stable offset: what lies behind it belongs to a transaction that is still open.
        return state.lso is not None and offset >= state.position >= state.lso

    def sources(self) -> dict[str, int]:
        """Return input topic → number of its partitions."""
        consumer = self._thread._ensure_consumer()
        return {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in self._topics}

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, str] | None]:
        """Return what the group has committed: offset and metadata."""
        coordinator = self._thread._ensure_consumer()._coordinator
        found = await self._thread.run(coordinator.fetch_committed_offsets(list(partitions)))
        return {
            partition: (commit.offset, commit.metadata) if (commit := found.get(partition)) else None
            for partition in partitions
        }

    async def topic_ids(self) -> dict[str, str]:
        """Return input topic → its present id; "" if the broker gives none. Raises KafkaError."""
        found: dict[str, str] = {}
        for _ in range(_LOOKS):
            try:
                found = await self._ids_now()
            except KafkaError as error:
                if not error.retriable:
                    raise
            if len(found) == len(self._topics):
                break
            await asyncio.sleep(0.2)
        self._ids = found
        return found

    async def other(self, answer: float = ANSWER) -> tuple[str, str, str] | None:
        """Return a topic whose id has changed, its first and its present id; None if there is none.

        Also None when Kafka does not answer within `answer` seconds; the caller may ask again.
        """
        try:
            now = await asyncio.wait_for(self._ids_now(), answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may tell
            log.debug("The topics' ids can't be had: %r", error)
            return None
        for topic, had in self._ids.items():
            if had and now.get(topic, "") not in ("", had):
                return topic, had, now[topic]
        return None

    async def _ids_now(self) -> dict[str, str]:
        client = self._thread._ensure_consumer()._client
        return cast("dict[str, str]", await self._thread.run(topic_ids(client, self._topics)))

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Return the offsets that Kafka has."""
        consumer, names = self._thread._ensure_consumer(), list(partitions)
        beginnings = await self._thread.run(consumer.beginning_offsets(names))
        ends = await self._thread.run(consumer.end_offsets(names))
        return {name: Bounds(beginnings[name], ends[name]) for name in names}

    async def begin(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Seek, and stamp batches from now on. Raises IllegalStateError after another rebalance."""
        await self._thread.run(self._begin(offsets))

    async def _begin(self, offsets: Mapping[TopicPartition, int]) -> None:
        consumer = self._thread._ensure_consumer()
        if (
            not self.holds()
            or consumer._subscription.reassignment_in_progress
            or consumer.assignment() != set(offsets)
        ):
            raise IllegalStateError("rebalanced again")
        for partition, offset in offsets.items():
            consumer.seek(partition, offset)
        self._thread.positions = dict(offsets)
        self._thread.stamp = self.stamp

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading at this offset, with the same stamp."""
        await self._thread.run(self._seek(partition, offset))

    async def _seek(self, partition: TopicPartition, offset: int) -> None:
        if self._thread.stamp == self.stamp:
            self._thread._ensure_consumer().seek(partition, offset)
            self._thread.positions[partition] = offset

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        """Commit in exactly this generation; False if it is over. Raises KafkaError otherwise."""
        wanted = {partition: OffsetAndMetadata(*commit) for partition, commit in offsets.items()}
        return bool(await self._thread.run(self._commit(wanted)))

    async def _commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> bool:
        coordinator = self._thread._ensure_consumer()._coordinator
        while True:
            await coordinator.ensure_coordinator_known()
            async with coordinator._commit_lock:
                # aiokafka's own retry could send it under a newer generation; and the broker accepts
                # generation -1 from anyone while the group is empty.
                if not self.holds():
                    return False
                try:
                    await coordinator._do_commit_offsets(None, offsets)
                except _FENCED:
                    return False
                except KafkaError as error:
                    if not error.retriable:
                        raise
                else:
                    return True
            await asyncio.sleep(0.2)
