"""Reads partitions from an offset to their end, outside of the consumer group."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from llmvitals.runtime.kafka.connect import DISCOVERY_MS
from llmvitals.runtime.kafka.topic_ids import topic_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from llmvitals.settings import Settings

log = logging.getLogger(__name__)


class Tail:
    """A consumer without a group; one reading at a time."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self._name = settings, name
        self._consumer: Any = None
        self._followed: dict[str, dict[TopicPartition, int]] = {}
        self._ids: dict[str, str] = {}
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises KafkaError when Kafka can't be reached."""
        self._consumer = AIOKafkaConsumer(
            **self._settings.client(self._name) | {"metadata_max_age_ms": DISCOVERY_MS},
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=4_194_304,
        )
        await self._consumer.start()

    async def stop(self) -> None:
        """Close."""
        if self._consumer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._consumer.stop(), 3)

    async def read(self, starts: Mapping[TopicPartition, int]) -> AsyncIterator[Sequence[Any]]:
        """Yield lists of records, each of one partition, from these offsets to the present ends."""
        consumer, partitions = self._consumer, list(starts)
        if not partitions:
            return
        self._assign(partitions)
        try:
            beginnings = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, max(starts[partition], beginnings[partition]))
            waiting = {partition for partition in partitions if beginnings[partition] < ends[partition]}
            while waiting:
                found = await consumer.getmany(timeout_ms=200)
                for records in found.values():
                    yield records
                for partition in list(waiting):
                    if await consumer.position(partition) >= ends[partition]:
                        waiting.remove(partition)
        finally:
            # Not unsubscribed: aiokafka's close() can hang for ever soon after that.
            consumer.pause(*partitions)

    def _assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Assign partitions as consumer.assign does, but keep the metadata of all followed topics.

        assign() would forget those of the topics that are not read now. Then each reading of another topic
        fetches metadata anew, and partitions that are added to a followed topic are not seen.
        """
        consumer = self._consumer
        consumer._subscription.assign_from_user(partitions)  # noqa: SLF001 - assign() without its set_topics
        followed = {topic for topic, offsets in self._followed.items() if offsets}
        consumer._client.set_topics({*followed, *(partition.topic for partition in partitions)})  # noqa: SLF001

    async def whole(self, topic: str) -> list[Any]:
        """Return the newest record of every key of a compacted topic, in the order of the log."""
        self._ids[topic] = await self._id(topic)
        cluster = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001 - topics() hides partitions
        numbers = cluster.partitions_for_topic(topic) or ()
        newest: dict[tuple[int, bytes | None], Any] = {}
        for record in await self._on(topic, {TopicPartition(topic, number): 0 for number in numbers}):
            newest.pop((record.partition, record.key), None)
            if record.value is not None:
                newest[record.partition, record.key] = record
        return list(newest.values())

    async def news(self, topic: str) -> list[Any]:
        """Return what was written to a topic since `whole` or `news` was called for it, with tombstones.

        Partitions added since are read from their beginning, and so is the whole topic if it was deleted and
        created again.
        """
        had, now = self._ids.get(topic, ""), await self._id(topic)
        if had and now and had != now:
            log.warning("%s was deleted and created again: it is read from its beginning", topic)
            return await self.whole(topic)
        if followed := self._followed.get(topic, {}):
            known = self._consumer.partitions_for_topic(topic) or ()
            followed = {TopicPartition(topic, number): 0 for number in known} | followed
        return await self._on(topic, followed)

    async def _id(self, topic: str) -> str:
        """Return the topic's id, "" when the broker does not answer."""
        try:
            return (await topic_ids(self._consumer._client, [topic])).get(topic, "")  # noqa: SLF001 - as above
        except KafkaError:
            return ""

    async def _on(self, topic: str, starts: dict[TopicPartition, int]) -> list[Any]:
        """Return the records from these offsets on; the next call for the topic continues after them."""
        async with self._reading:
            found: list[Any] = []
            followed = dict(starts)
            async for records in self.read(starts):
                found.extend(records)
                last = records[-1]
                followed[TopicPartition(last.topic, last.partition)] = last.offset + 1
            self._followed[topic] = followed
        return found
