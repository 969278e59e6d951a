"""Nothing is lost and nothing counts twice: real processes on a real broker against a naive sum.

Every test publishes the same kind of log (tests/support/oracle.py), does harm to the workers provably mid-stream, and
demands that every count, token and nano-dollar of every view and window is what the dictionaries say.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from influxdb_client import InfluxDBClient

from cluster import Cluster, rows, until
from oracle import FIELDS, VIEWS, WINDOWS, Logs

if TYPE_CHECKING:
    from pathlib import Path

    from cluster import Worker
    from llmvitals.local.influx import InfluxBucket

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_790_000_000_000_000 // (24 * HOUR) * 24 * HOUR + 10 * HOUR
"""A morning before today, so that Kafka's time stamps are later than the calls'."""
SEEDS = range(int(os.environ.get("LLMVITALS_TEST_SEEDS", "10")))


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    made = Cluster(kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db")
    await made.apply_topics()
    yield made
    made.close()


async def publish(cluster: Cluster, logs: Logs, share: tuple[float, float] = (0.0, 1.0)) -> None:
    """A span of every partition's log, the partitions one after the other in a random order."""
    partitions = list(logs.records)
    random.Random(logs.start).shuffle(partitions)
    for partition in partitions:
        log = logs.records[partition]
        part = log[round(share[0] * len(log)) : round(share[1] * len(log))]
        await cluster.publish(cluster.settings.topic("calls"), partition, part)


def stored(cluster: Cluster) -> dict[tuple[str, str, int, tuple[str, ...]], dict[str, int]]:
    """What the SQLite store has."""
    found = {}
    sql = f"SELECT view, window, start, tags, {', '.join(FIELDS)} FROM llm_calls"
    for view, window, start, tags, *values in rows(cluster.values["sqlite"], sql):
        dims = json.loads(tags)
        key = (view, window, start, tuple(dims[name] for name in VIEWS[view]))
        found[key] = dict(zip(FIELDS, values, strict=True))
    return found


def compare(logs: Logs, found: dict[Any, dict[str, int]]) -> None:
    """Every view and window is there, equal to the last nano-dollar, and nothing else is."""
    wrong = {key: (found.get(key), want) for key, want in logs.expected().items() if found.get(key) != want}
    assert not wrong, f"{len(wrong)} of {len(logs.sums)} differ, such as {next(iter(wrong.items()))}"
    assert found.keys() == logs.expected().keys()


def settled(cluster: Cluster, logs: Logs) -> None:
    """Return when the store says what it must; fails with what differs when it does not in time."""
    expected = logs.expected()

    def done() -> bool:
        for worker in cluster.workers:
            code = worker.process.poll()
            assert code is None or code == -signal.SIGKILL or worker.stopped, cluster.logs()
        return stored(cluster) == expected

    with suppress(AssertionError):
        until(done, 90)
    compare(logs, stored(cluster))


async def dead_letters(cluster: Cluster) -> list[tuple[int, int]]:
    """Where the dead letters say that they come from, one for each key."""
    found = {
        record.key: dict(record.headers) for record in await cluster.read(cluster.settings.topic("calls.dlq"))
    }
    return sorted(
        (int(headers["llmvitals.err.partition"]), int(headers["llmvitals.err.offset"]))
        for headers in found.values()
    )


def conserved(worker: Worker) -> float:
    """The law of conservation, by the worker's own meters; how many calls it has read."""
    parts = sum(
        worker.metric(f"llmvitals_calls_{name}_total")
        for name in ("applied", "duplicate", "dead_lettered", "filtered")
    )
    assert worker.metric("llmvitals_calls_in_total") == parts
    refused = worker.metric("llmvitals_calls_dead_lettered_total")
    assert worker.metric("llmvitals_dead_letters_total") == refused
    assert "is not declared" not in worker.text()
    return parts


async def test_quiet(cluster: Cluster, influx: InfluxBucket) -> None:
    """Partition by partition, shuffled, with duplicates and poison: SQLite and InfluxDB are exact."""
    cluster.values |= {
        "influx_url": influx.url, "influx_token": influx.token, "influx_org": influx.org,
        "influx_bucket": influx.bucket,
    }  # fmt: skip
    logs = Logs(START, 57 * MINUTE)
    await publish(cluster, logs)
    combine = cluster.start("combine")
    cluster.start("merge")
    cluster.start("sink")
    await asyncio.to_thread(settled, cluster, logs)
    compare(logs, await asyncio.to_thread(in_influx, influx))
    assert await dead_letters(cluster) == sorted(logs.poison)
    assert conserved(combine) == logs.total
    for worker in reversed(cluster.workers):
        assert worker.stop() == 0, worker.text()


def in_influx(bucket: InfluxBucket) -> dict[Any, dict[str, int]]:
    """What InfluxDB has, by Flux."""
    fields = " or ".join(f'r._field == "{name}"' for name in FIELDS)
    script = (
        f'from(bucket: "{bucket.bucket}") |> range(start: 2020-01-01T00:00:00Z) '
        f'|> filter(fn: (r) => r._measurement == "llm_calls" and ({fields}))'
    )
    found: dict[Any, dict[str, int]] = {}
    with InfluxDBClient(bucket.url, bucket.token, org=bucket.org, timeout=60_000) as client:
        for table in client.query_api().query(script):
            for record in table.records:
                view = record["view"]
                start = round(record.get_time().timestamp() * 1_000_000)
                key = (view, record["window"], start, tuple(record[name] for name in VIEWS[view]))
                found.setdefault(key, {})[record.get_field()] = record.get_value()
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("victim", ["combine", "merge"])
async def test_kill(cluster: Cluster, seed: int, victim: str) -> None:
    """kill -9 of a worker in the middle of the stream, and another takes its place."""
    dice = random.Random(seed)
    logs = Logs(START, 20 * MINUTE, seed=seed)
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    combine, merge = cluster.workers[:2]
    share = dice.uniform(0.3, 0.6)
    await publish(cluster, logs, (0, share))
    doomed, counter = (
        (combine, "llmvitals_calls_in_total") if victim == "combine" else (merge, "llmvitals_entries_total")
    )
    publishing = asyncio.create_task(publish(cluster, logs, (share, share + 0.2)))
    await asyncio.to_thread(
        until, lambda: doomed.metric(counter) > 0, 90, f"{victim} reads\n{cluster.logs()}"
    )
    await asyncio.sleep(dice.uniform(0, 0.5))  # the moment is the test's parameter
    doomed.kill()
    await publishing
    cluster.start(victim)
    await publish(cluster, logs, (share + 0.2, 1))
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)
    heir = conserved(cluster.workers[-1] if victim == "combine" else combine)
    # Mid-stream: the first had counted some, and could not have counted what was sent after its end.
    assert heir == logs.total if victim == "merge" else 0.2 * logs.total < heir <= logs.total


async def test_rebalance(cluster: Cluster) -> None:
    """A second worker of each stage joins in the middle, and the first leaves in order."""
    logs = Logs(START, 20 * MINUTE, seed=3)
    first = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
    await publish(cluster, logs, (0, 0.4))
    await asyncio.to_thread(until, lambda: first[0].metric("llmvitals_calls_in_total") > 0, 90)
    second = [cluster.start("combine"), cluster.start("merge")]
    publishing = asyncio.create_task(publish(cluster, logs, (0.4, 0.8)))
    for worker in second:
        await asyncio.to_thread(until, lambda w=worker: w.metric("llmvitals_ready") > 0, 60, cluster.logs())
    await publishing
    for worker in first[:2]:
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
    await publish(cluster, logs, (0.8, 1))
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)


@pytest.mark.parametrize("victim", ["combine", "merge"])
async def test_zombie(cluster: Cluster, victim: str) -> None:
    """Frozen for longer than its session lasts, replaced, and awake again: what it still sends changes nothing."""
    logs = Logs(START, 20 * MINUTE, seed=4)
    workers = {stage: cluster.start(stage) for stage in ("combine", "merge", "sink")}
    zombie = workers[victim]
    await publish(cluster, logs, (0, 0.5))
    counter = "llmvitals_calls_in_total" if victim == "combine" else "llmvitals_entries_total"
    await asyncio.to_thread(until, lambda: zombie.metric(counter) > 0, 90, cluster.logs())
    zombie.signal(signal.SIGSTOP)
    frozen = time.monotonic()
    heir = cluster.start(victim)
    await publish(cluster, logs, (0.5, 0.8))
    await asyncio.to_thread(until, lambda: heir.metric(counter) > 0, 60, cluster.logs())
    assert time.monotonic() - frozen > 5, "the session had not ended"
    zombie.signal(signal.SIGCONT)
    await publish(cluster, logs, (0.8, 1))
    zombie.stopped = True
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)
    assert set(WINDOWS) == {window for _, window, _, _ in logs.sums}
