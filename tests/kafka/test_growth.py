"""Partitions of the calls are added while they are read: nothing is lost, and they are found soon."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

import sent_frames
from cluster import Cluster
from exact import MINUTE, START, conserved, publish, stored
from frames import first_open
from llmvitals.record.frame import Frame
from llmvitals.record.log import Topic
from llmvitals.record.series import shard_of
from llmvitals.runtime.kafka.connect import DISCOVERY_MS
from llmvitals.runtime.kafka.tail import Tail
from llmvitals.settings import Settings
from oracle import FIELDS, SECOND, VIEWS, WINDOWS, Logs, added
from waiting import deadline, eventually, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

BEFORE, AFTER = 4, 8
SHARDS = 4
PANE = 10 * SECOND


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    async with Cluster(kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", idle="10m") as made:
        yield made


async def add_partitions(brokers: str, topic: str, count: int) -> None:
    """Until there are `count`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(count)})
    finally:
        await admin.close()


async def first_opens(cluster: Cluster) -> list[dict[int, int]]:
    """For each shard: partition of the calls → the lowest pane that was open when it was first told of it."""
    frames: list[list[Frame]] = [[] for _ in range(SHARDS)]
    for record in await cluster.read(cluster.settings.topic("partials")):
        frames[record.partition].append(sent_frames.read(record.value))
    return [first_open(each) for each in frames]


def expected(logs: Logs, joined: list[dict[int, int]]) -> dict[Any, dict[str, int]]:
    """As Logs.expected, but what had closed in a shard before it was told of a partition is late there."""
    sums: dict[Any, Counter[str]] = defaultdict(Counter)
    for partition, log in logs.records.items():
        seen = set()
        for number, value in enumerate(log[:-1]):
            if (partition, number) in logs.poison:
                continue
            call = json.loads(value)
            fields, own = added(call, first=call["id"] not in seen), call["ts"] * 1_000 // PANE
            seen.add(call["id"])
            for view, by in VIEWS.items():
                series = tuple(call[name] for name in by)
                pane = max(own, joined[shard_of(view, series, SHARDS)][partition])
                for window, length in WINDOWS.items():
                    start = pane * PANE // length * length
                    sums[view, window, start, series].update(fields)
                    sums[view, window, start, series]["late_calls"] += fields["calls"] * (pane > own)
    return {key: {name: each[name] for name in FIELDS} for key, each in sums.items()}


async def test_partitions_added_while_calls_flow_are_found_soon_and_counted_to_the_last_call(
    cluster: Cluster,
) -> None:
    logs = Logs(START, 20 * MINUTE, partitions=AFTER, seed=5)
    combines = [cluster.start("combine", LLMVITALS_INSTANCE="static"), cluster.start("combine")]
    merge = cluster.start("merge")
    cluster.start("sink")
    old, new = range(BEFORE)[::-1], range(BEFORE, AFTER)[::-1]  # the last partition first
    await publish(cluster, logs, (0, 0.5), old)
    await asyncio.to_thread(until, lambda: stored(cluster), 90, cluster.logs)

    await add_partitions(cluster.values["brokers"], cluster.settings.topic("calls"), AFTER)
    publishing = asyncio.create_task(publish(cluster, logs, (0.5, 0.6), old))
    await publish(cluster, logs, (0, 0.6), new)
    await publishing

    def read() -> bool:
        return all(
            any(worker.metric("llmvitals_calls_in_total", partition=str(number)) for worker in combines)
            for number in new
        )

    # The rest of the time is the rebalance's; where metadata may be a minute old, it takes that minute.
    await asyncio.to_thread(until, read, 30 + DISCOVERY_MS / 1_000, cluster.logs)
    await publish(cluster, logs, (0.6, 1), range(AFTER)[::-1])

    def done() -> bool:
        assert all(worker.process.poll() is None for worker in cluster.workers), cluster.logs()
        day = [values for key, values in stored(cluster).items() if key[:2] == ("all", "1d")]
        return sum(values["calls"] for values in day) == logs.unique

    with suppress(AssertionError):
        await asyncio.to_thread(until, done, 90)
    joined = await first_opens(cluster)
    want = expected(logs, joined)
    with suppress(AssertionError):
        await asyncio.to_thread(until, lambda: stored(cluster) == want, 60)
    got = stored(cluster)
    wrong = {key: (got.get(key), values) for key, values in want.items() if got.get(key) != values}
    assert not wrong, f"{len(wrong)} of {len(want)} differ, such as {next(iter(wrong.items()))}"
    assert got.keys() == want.keys()
    late = sum(values["late_calls"] for key, values in got.items() if key[:2] == ("all", "1d"))
    assert late > 0, "nothing had closed before the partitions were found"
    assert merge.metric("llmvitals_entries_moved_total") > 0
    for worker in combines:
        conserved(worker)


async def known(producer: AIOKafkaProducer, topic: str, count: int) -> None:
    """Until the producer can write to `count` partitions: the broker may tell it some time after adding them."""
    async with asyncio.timeout(deadline(30)):
        while len(await producer.partitions_for(topic)) < count:
            await producer.client.force_metadata_update()


async def test_news_of_a_compacted_topic_come_from_its_new_partitions_too(
    kafka: str, topic_prefix: str, create_topics: Any
) -> None:
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix))
    topic, tail = settings.topic(Topic.SILENCES), Tail(settings, "look")
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await tail.start()
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"1", key=b"a")
        assert [record.value for record in await tail.whole(topic)] == [b"1"]
        await add_partitions(kafka, topic, 2)
        await known(producer, topic, 2)
        await producer.send_and_wait(topic, b"2", key=b"b", partition=1)
        await producer.send_and_wait(topic, b"3", key=b"c", partition=0)
        found: list[bytes] = []

        async def heard() -> bool:
            found.extend([record.value for record in await tail.news(topic)])
            return len(found) >= 2

        await eventually(heard, 30 + DISCOVERY_MS / 1_000)
        assert sorted(found) == [b"2", b"3"]
        assert await tail.news(topic) == []
    finally:
        await producer.stop()
        await tail.stop()


async def test_partitions_are_found_while_two_topics_are_followed_in_turn(
    kafka: str, topic_prefix: str, create_topics: Any
) -> None:
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix))
    topics, tail = (
        [settings.topic(name) for name in (Topic.SILENCES, Topic.WATERMARKS)],
        Tail(settings, "look"),
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await tail.start()
    try:
        await producer.start()
        for topic in topics:
            await producer.send_and_wait(topic, b"1", key=b"a", partition=0)
            assert [record.value for record in await tail.whole(topic)] == [b"1"]
        grown, other = topics
        added = len(await producer.partitions_for(grown))
        await add_partitions(kafka, grown, added + 1)
        await known(producer, grown, added + 1)
        await producer.send_and_wait(grown, b"2", key=b"b", partition=added)
        updates = requests_of_metadata(tail)
        found: list[bytes] = []
        async with asyncio.timeout(deadline(30 + DISCOVERY_MS / 1_000)):
            while not found:
                assert await tail.news(other) == []
                found += [record.value for record in await tail.news(grown)]
        assert found == [b"2"]
        before = len(updates)
        for topic in topics * 5:
            assert await tail.news(topic) == []
        assert len(updates) - before <= 1, "every reading of another topic fetches the metadata"
    finally:
        await producer.stop()
        await tail.stop()


def requests_of_metadata(tail: Tail) -> list[None]:
    """From now on it gets an entry for each time that fresh metadata is asked for before it is due."""
    client, asked = tail._consumer._client, list[None]()
    ask = client.force_metadata_update

    def counting() -> Any:
        asked.append(None)
        return ask()

    client.force_metadata_update = counting
    return asked
