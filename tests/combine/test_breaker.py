"""The alert on a broken producer: by source, once, in record time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from hypothesis import given
from hypothesis import strategies as st

from cluster import Cluster
from llmvitals.combine.breaker import LEAST, RULE, SPAN, Breaker
from llmvitals.combine.state import Manifest
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.log import Logged, Topic
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack
from llmvitals.topics.change import alter_settings
from llmvitals.window import SECOND
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cluster import Worker

BEGIN = 1_700_000_000 * SECOND
Log = list[tuple[bool, int]]
"""Of each record: is it bad, and its time in µs."""


def fed(breaker: Breaker, log: Log) -> list[Alert]:
    stamps = np.array([stamp for _, stamp in log], np.int64)
    codes = {place: "not_json" for place, (bad, _) in enumerate(log) if bad}
    return [
        Alert.decode(alert.encode()) for alert in breaker.take(stamps, codes, "calls/3", "llm.calls.dlq.v1")
    ]


def every(seconds: float, count: int, bad: float, begin: int = 0) -> Log:
    """A record every so many seconds, `bad` of each hundred unreadable."""
    return [(n % 100 < bad, BEGIN + begin + int(n * seconds * SECOND)) for n in range(count)]


@pytest.mark.parametrize(("bad", "fires"), [(0, 0), (1, 0), (50, 0), (60, 1), (100, 1)])
def test_more_than_half_of_30_s_is_told_once(bad: int, fires: int) -> None:
    alerts = fed(Breaker(), every(0.3, 2_000, bad))
    assert len(alerts) == fires
    for alert in alerts:
        assert (alert.rule, alert.status, alert.labels) == (
            RULE,
            "firing",
            {"topic": "calls", "partition": "3"},
        )
        assert alert.since == BEGIN
        assert alert.at - BEGIN >= SPAN
        assert "not_json" in alert.note
        assert "llm.calls.dlq.v1" in alert.note


def test_a_few_records_say_nothing_and_a_slow_producer_is_found_by_its_twentieth() -> None:
    assert fed(Breaker(), every(10, LEAST, 100)) == []
    assert len(fed(Breaker(), every(10, LEAST + 1, 100))) == 1
    assert fed(Breaker(), every(0.001, 10_000, 100)) == []


def test_what_recovers_is_resolved_and_what_breaks_again_is_another_episode() -> None:
    minute = 60 * SECOND
    log = every(0.3, 200, 100) + every(0.3, 400, 1, minute) + every(0.3, 400, 100, 3 * minute)
    alerts = fed(Breaker(), log)
    assert [alert.status for alert in alerts] == ["firing", "resolved", "firing"]
    first, over, again = alerts
    assert first.fingerprint == over.fingerprint == again.fingerprint
    assert first.episode == over.episode != again.episode
    assert over.until
    assert first.at < over.at == over.until < again.at


def test_strange_times_stop_nothing() -> None:
    ahead = [(True, BEGIN + 10**15)]
    none = [(True, -1_000)] * 100
    assert len(fed(Breaker(), ahead + none + every(0.3, 2_000, 100))) == 1
    assert fed(Breaker(), none) == []


records = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=400)


@given(records, st.lists(st.integers(1, 60)), st.booleans())
def test_batches_and_restarts_change_nothing(
    steps: list[tuple[bool, int]], sizes: list[int], restarts: bool
) -> None:
    at, log = BEGIN, list[tuple[bool, int]]()
    for bad, step in steps:
        at += (step - 2) * SECOND // 4
        log.append((bad, at))
    whole, breaker = fed(Breaker(), log), Breaker()
    parts: list[Alert] = []
    rest = log
    for size in [*sizes, len(log)]:
        parts += fed(breaker, rest[:size])
        rest = rest[size:]
        if restarts:
            saved = Manifest(pane_us=1, disorder_us=1, offset=0, applied=0, breaker=breaker).encode()
            breaker = msgspec.msgpack.decode(saved, type=Manifest).breaker
    assert parts == whole
    one_by_one = Breaker()
    assert [alert for each in log for alert in fed(one_by_one, [each])] == whole


def combine(**saved: Any) -> Any:
    stages = Pipeline.of(Settings(default_views=False), 1, ["calls"])
    return stages.combining("calls", 0, sources={"calls": 1}, **({"parts": {}, "beginning": 0} | saved))


def alerts(messages: Sequence[Any]) -> list[Alert]:
    return [Alert.decode(message.value) for message in messages if message.topic is Topic.ALERTS]


def test_combine_tells_once_over_restarts_and_replays() -> None:
    log = [Logged(n, 1_700_000_000_000 + n * 200, b"secret words %d" % n) for n in range(1_000)]
    stage = combine()
    (told,) = alerts(stage.apply(log[:600]))
    assert "secret" not in msgspec.json.encode(told).decode()
    assert stage.counters["broken"] == 1
    stage.delivered(stage.mark())
    parts = stage.snapshot().parts
    again = combine(parts=parts)
    assert alerts(again.apply(log[again.next :])) == []
    assert again.counters["broken"] == 1
    # Without that checkpoint, the same alert: what reads alerts knows it.
    assert alerts(combine().apply(log)) == [told]
    older = msgspec.msgpack.decode(parts["manifest"])
    del older["breaker"]
    combine(parts={"manifest": msgspec.msgpack.encode(older)})


@pytest.mark.parametrize("size", [1, 10, 100, 400])
def test_each_time_that_a_producer_breaks_is_counted_whatever_the_batches(size: int) -> None:
    """40 s of records that can't be read, 40 s of calls, and so on."""
    begin = 1_700_000_000_000
    log = [
        Logged(n, at, b"?" if n % 80 < 40 else b'{"id": "c%d", "ts": %d, "model": "gpt-5"}' % (n, at))
        for n, at in ((n, begin + n * 1_000) for n in range(400))
    ]
    stage, told = combine(), list[Alert]()
    for start in range(0, len(log), size):
        told += alerts(stage.apply(log[start : start + size]))
    firing = sum(alert.status == "firing" for alert in told)
    assert (firing, stage.counters["broken"]) == (5, 5)


# On the broker


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as fake:
        yield fake


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path, slack: FakeSlack) -> AsyncIterator[Cluster]:
    async with Cluster(
        kafka, topic_prefix, tmp_path, slack_token=slack.token, slack_api_url=slack.url,
        slack_channel=slack.channels["#alerts"], checkpoint="200ms", flush="100ms", default_views=False,
    ) as made:  # fmt: skip
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        await alter_settings(admin, made.settings.topic("calls"), {"message.timestamp.type": "CreateTime"})
        await admin.close()
        yield made


async def publish(cluster: Cluster, partition: int, begin: int, values: Sequence[bytes]) -> None:
    """One every 100 ms of record time from `begin` (ms) on."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.settings.brokers, linger_ms=5)
    try:
        await producer.start()
        topic = cluster.settings.topic("calls")
        sent = [
            await producer.send(topic, value, partition=partition, timestamp_ms=begin + n * 100)
            for n, value in enumerate(values)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def calls(partition: int, begin: int, count: int, poison: int) -> list[bytes]:
    """Every `poison`-th can't be read."""
    return [
        b"secret poison %d" % n
        if n % poison == 0
        else b'{"id":"%d-%d","ts":%d,"model":"gpt-4o","provider":"openai"}' % (partition, n, begin + n * 100)
        for n in range(count)
    ]


async def read(worker: Worker, count: int) -> None:
    await asyncio.to_thread(
        until, lambda: worker.metric("llmvitals_calls_in_total") >= count, 60, worker.text
    )


@pytest.mark.kafka
async def test_a_broken_producer_is_told_once_and_its_neighbours_are_counted(
    cluster: Cluster, slack: FakeSlack
) -> None:
    begin = time.time_ns() // 1_000_000 - 400_000
    worker = cluster.start("combine")
    cluster.start("sink")
    await publish(cluster, 0, begin, calls(0, begin, 1_000, 100))
    await publish(cluster, 1, begin, calls(1, begin, 1_000, 1))
    message = await slack.wait_for(lambda message: RULE in message.text, deadline(90))
    assert "partition 1" in message.text
    assert "1,000 of" in message.text or "not_json" in message.text
    assert "secret" not in message.text
    await read(worker, 2_000)
    assert worker.metric("llmvitals_producer_breaks_total") == 1
    assert worker.metric("llmvitals_calls_applied_total", partition="0") == 990
    assert worker.metric("llmvitals_calls_dead_lettered_total", partition="1") == 1_000
    worker.kill()
    worker = cluster.start("combine")
    later = begin + 100_000
    await publish(cluster, 1, later, calls(1, later, 1_000, 1))
    await publish(cluster, 0, later, calls(0, later, 1_000, 100))
    # The end of it is the last word; until then nothing else was said.
    later += 100_000
    await publish(cluster, 1, later, calls(1, later, 1_000, 100))
    await slack.wait_for(lambda message: RULE in message.text and "Resolved" in message.text, deadline(90))
    assert len(slack.messages) == 1, [message.text for message in slack.messages]
    records = await cluster.read(cluster.settings.topic("alerts"))
    changes = {(alert.at, alert.status) for alert in (Alert.decode(record.value) for record in records)}
    assert sorted(status for _, status in changes) == ["firing", "resolved"]
