"""The calls topics from a time on, to their ends as they are now: beside every consumer group."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from llmvitals.backtest.run import outcome, prepared
from llmvitals.errors import ConfigError
from llmvitals.runtime.kafka.connect import asking, find_topics
from llmvitals.window import MINUTE, duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from llmvitals.backtest.run import OnProgress, Outcome
    from llmvitals.record.log import Record
    from llmvitals.settings import Settings

AHEAD: Final = 2 * MINUTE
"""So much event time may a partition be ahead of the slowest one before it waits: its calls are kept
in memory until all have come as far."""


class Fed(Protocol):
    """Whoever is fed with calls: a Trial, a Lesson."""

    def feed(self, topic: str, partition: int, records: Sequence[Record]) -> object:
        """Calls of one partition, in the order of its log."""

    def end(self, topic: str, partition: int) -> None:
        """Nothing more comes from this partition."""

    def reached(self, topic: str, partition: int) -> int:
        """Event time that this partition has come to, µs."""


async def backtest(settings: Settings, since: str, folders: Sequence[Path], told: OnProgress) -> Outcome:
    """Backtest the rules on the calls that were appended to the input topics within `since` (a duration).

    told: called after each piece with the trial and None. Raises ConfigError, MissingTopic and BrokerDown.
    """
    try:
        start = time.time_ns() // 1_000 - duration(since)
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from None
    partitions = await find_topics(settings, settings.sources)
    trial, began = prepared(settings, folders, partitions), time.perf_counter()
    await replay(settings, trial, partitions, since=start, told=lambda: told(trial, None))
    return outcome(trial, folders, time.perf_counter() - began)


async def newest_call(settings: Settings) -> int | None:
    """The Kafka time stamp of the newest call on the input topics, ms; None where there is none.

    Raises BrokerDown when Kafka does not answer.
    """
    newest = await newest_records(settings, 1)
    return max((record.timestamp for records in newest.values() for record in records), default=None)


async def newest_records(settings: Settings, most: int) -> dict[str, list[Record]]:
    """Input topic → its newest records, at most so many of each partition.

    Raises BrokerDown when Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(*settings.sources, **settings.client("doctor"), enable_auto_commit=False)
    found: dict[str, list[Record]] = {}
    try:
        async with asking(settings):
            await consumer.start()
            partitions = consumer.assignment()
            beginnings = await consumer.beginning_offsets(partitions)
            for partition, end in (await consumer.end_offsets(partitions)).items():
                consumer.seek(partition, max(beginnings[partition], end - most))
                while await consumer.position(partition) < end:
                    fetched = await consumer.getmany(partition, timeout_ms=2_000, max_records=most)
                    if not fetched:
                        break  # what is there belongs to no record, such as the mark of a transaction
                    found.setdefault(partition.topic, []).extend(fetched[partition])
            return found
    finally:
        await consumer.stop()


async def replay(
    settings: Settings, trial: Fed, partitions: Mapping[str, int], *, since: int, told: Callable[[], None]
) -> None:
    """Feed a trial with everything that was appended since a time (µs), and end it.

    partitions: of each topic. told: called after each piece. Raises BrokerDown when Kafka goes away.
    """
    consumer = AIOKafkaConsumer(
        **settings.client("backtest"),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4_194_304,
    )
    async with asking(settings, None):
        await consumer.start()
        try:
            every = [TopicPartition(topic, number) for topic, n in partitions.items() for number in range(n)]
            async for partition, records in _read(consumer, every, since, trial):
                if records:
                    trial.feed(partition.topic, partition.partition, records)
                else:
                    trial.end(partition.topic, partition.partition)
                told()
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(consumer.stop(), 3)


async def _read(
    consumer: Any, partitions: list[TopicPartition], since: int, trial: Fed
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """Records of one partition each; an empty list when one is read."""
    consumer.assign(partitions)
    starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since // 1_000))
    ends = await consumer.end_offsets(partitions)
    waiting = set(partitions)
    for partition in partitions:
        found = starts[partition]
        consumer.seek(partition, ends[partition] if found is None else found.offset)
    while waiting:
        for partition in sorted(waiting):
            if await consumer.position(partition) >= ends[partition]:
                waiting.remove(partition)
                consumer.pause(partition)
                yield partition, []
        _hold(consumer, waiting, trial)
        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
            inside = [record for record in records if record.offset < ends[partition]]
            if inside:
                yield partition, inside


def _hold(consumer: Any, waiting: set[TopicPartition], trial: Fed) -> None:
    """Let those wait that are far ahead in event time of the slowest."""
    reached = {partition: trial.reached(partition.topic, partition.partition) for partition in waiting}
    slowest = min(reached.values(), default=0)
    for partition, at in reached.items():
        (consumer.pause if at > slowest + AHEAD else consumer.resume)(partition)
