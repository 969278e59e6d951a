"""Parsed records are the same as those that getmany returns, whatever lies in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from llmvitals.runtime.kafka.parsed_records import hand_out_parsed
from waiting import deadline, eventually

pytestmark = pytest.mark.kafka

Parts = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
"""What a stage reads of a record: offset, timestamp, key, value and headers."""
Create = Callable[..., Awaitable[TopicPartition]]


@pytest.fixture
async def create(kafka: str, topic_prefix: str) -> AsyncIterator[Create]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()

    async def topic(**settings: str) -> TopicPartition:
        topic = NewTopic(
            topic_prefix, 1, 1, topic_configs={name.replace("_", "."): v for name, v in settings.items()}
        )
        await admin.create_topics([topic])
        return TopicPartition(topic_prefix, 0)

    yield topic
    await admin.close()


async def produce(kafka: str, partition: TopicPartition, numbers: range, **settings: Any) -> None:
    """Send a record of each number, in batches of many; some have no key or no value, some have headers."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=20, **settings)
    await producer.start()
    for number in numbers:
        await producer.send(
            partition.topic,
            partition=partition.partition,
            key=None if number % 3 == 0 else b"key-%d" % number,
            value=None if number % 12 == 1 else b"value-%d" % number,
            headers=[("n", b"%d" % number), ("n", b"")] if number % 2 else [],
        )
    await producer.stop()


async def read(
    kafka: str, partition: TopicPartition, start: int, *, parsed: bool, committed: bool = True
) -> tuple[list[Parts], list[int]]:
    """All records from an offset on, and the positions after each fetch that had records, and at the end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=100,  # a batch in each fetch
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, start)
        end = (await consumer.end_offsets([partition]))[partition]
        if parsed:
            hand_out_parsed(consumer._fetcher)
        records, positions, position = [], [start], start
        async with asyncio.timeout(deadline(30)):
            while position < end:
                fetched = await consumer.getmany(timeout_ms=100)
                position = await consumer.position(partition)
                for found in fetched.values():
                    assert all(hasattr(record, "topic") != parsed for record in found)
                    records += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in found]
                    # Whether a fetch without records is seen by itself is a matter of time.
                    positions.append(position)
        return records, [*positions, position]
    finally:
        await consumer.stop()


async def read_both(kafka: str, partition: TopicPartition, start: int, **options: bool) -> tuple[Any, Any]:
    """What `read` returns parsed and not; reads again while the broker compacts the log in between."""
    theirs = await read(kafka, partition, start, parsed=False, **options)
    while True:
        ours, before = await read(kafka, partition, start, parsed=True, **options), theirs
        theirs = await read(kafka, partition, start, parsed=False, **options)
        if theirs == before:
            return ours, theirs


async def assert_equal(kafka: str, partition: TopicPartition, starts: range, **options: bool) -> list[int]:
    """From each of these offsets on both ways give the same; returns the offsets of the first."""
    offsets = []
    for start in starts:
        ours, theirs = await read_both(kafka, partition, start, **options)
        assert ours == theirs
        offsets.append([record[0] for record in ours[0]])
    return offsets[0]


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_a_seek_may_lead_into_the_middle_of_a_batch(
    kafka: str, create: Create, compression: str | None
) -> None:
    partition = await create()
    await produce(kafka, partition, range(300), compression_type=compression)
    assert await assert_equal(kafka, partition, range(0, 300, 43)) == [*range(300)]


@pytest.mark.parametrize("committed", [True, False])
async def test_aborted_transactions_and_control_batches(kafka: str, create: Create, committed: bool) -> None:
    partition = await create()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=partition.topic)
    await producer.start()
    kept, offset = [], 0
    for transaction in range(8):
        await producer.begin_transaction()
        for _ in range(5):
            await producer.send(partition.topic, b"x", partition=0)
        await (producer.abort_transaction() if transaction % 2 else producer.commit_transaction())
        kept += [*range(offset, offset + 5)] if not committed or transaction % 2 == 0 else []
        offset += 6  # with the record that ends the transaction
    await producer.stop()
    assert await assert_equal(kafka, partition, range(0, offset, 7), committed=committed) == kept


async def test_compacted_batches_have_holes_also_at_their_end(kafka: str, create: Create) -> None:
    partition = await create(
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.001",
        segment_ms="200",
        max_compaction_lag_ms="1000",
    )
    keyed = range(1, 100, 3)
    await produce(kafka, partition, keyed)
    await produce(kafka, partition, keyed[20:])  # the same keys as the end of the first batch

    async def has_a_hole_at_the_end() -> bool:
        await produce(kafka, partition, keyed[:1])  # a new segment, so that those before are compacted
        records, positions = await read(kafka, partition, 0, parsed=False)
        return bool({*positions[1:-1]} - {record[0] + 1 for record in records})

    await eventually(has_a_hole_at_the_end, every=1)
    offsets = await assert_equal(kafka, partition, range(0, 60, 9))
    assert 18 in offsets
    assert 25 not in offsets


def damaged(data: bytes) -> MemoryRecords:
    return MemoryRecords(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("parsed", [True, False])
async def test_a_wrong_checksum_is_an_error(
    kafka: str, create: Create, monkeypatch: pytest.MonkeyPatch, parsed: bool
) -> None:
    partition = await create()
    await produce(kafka, partition, range(10))
    monkeypatch.setattr("aiokafka.consumer.fetcher.MemoryRecords", damaged)
    with pytest.raises(CorruptRecordException):
        await read(kafka, partition, 0, parsed=parsed)
