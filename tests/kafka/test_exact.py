"""Nothing is lost and nothing counts twice: real processes on a real broker against a naive sum.

Every test publishes the same kind of log (tests/support/oracle.py), does harm to the workers provably mid-stream, and
demands that every count, token and nano-dollar of every view and window is what the dictionaries say.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster
from exact import MINUTE, START, compare, conserved, dead_letters, in_influx, publish, settled
from oracle import WINDOWS, Logs
from waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from llmvitals.local.influx import InfluxBucket

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SEEDS = range(int(os.environ.get("LLMVITALS_TEST_SEEDS", "3")))


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    # No silence is so long that what comes after the last call is closed, too: not on a busy machine either.
    async with Cluster(
        kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", idle="1h", alone=True
    ) as made:
        yield made


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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("victim", ["combine", "merge"])
async def test_kill(
    cluster: Cluster, seed: int, victim: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """kill -9 of a worker in the middle of the stream, and another takes its place. No file is left."""
    dice = random.Random(seed)
    logs = Logs(START, 20 * MINUTE, seed=seed)
    temporary = tmp_path_factory.mktemp("temporary")
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage, TMPDIR=str(temporary))
    combine, merge = cluster.workers[:2]
    share = dice.uniform(0.3, 0.6)
    await publish(cluster, logs, (0, share))
    doomed, counter = (
        (combine, "llmvitals_calls_in_total") if victim == "combine" else (merge, "llmvitals_entries_total")
    )
    publishing = asyncio.create_task(publish(cluster, logs, (share, share + 0.2)))
    await asyncio.to_thread(
        until, lambda: doomed.metric(counter) > 0, 90, lambda: f"{victim} does not read\n{cluster.logs()}"
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
    assert not list(temporary.iterdir())


async def test_rebalance(cluster: Cluster) -> None:
    """A second worker of each stage joins in the middle, and the first leaves in order."""
    logs = Logs(START, 20 * MINUTE, seed=3)
    first = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
    await publish(cluster, logs, (0, 0.4))
    await asyncio.to_thread(until, lambda: first[0].metric("llmvitals_calls_in_total") > 0, 90)
    second = [cluster.start("combine"), cluster.start("merge")]
    publishing = asyncio.create_task(publish(cluster, logs, (0.4, 0.8)))
    for worker in second:
        await worker.ready()
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
    await asyncio.to_thread(until, lambda: zombie.metric(counter) > 0, 90, cluster.logs)
    zombie.signal(signal.SIGSTOP)
    frozen = time.monotonic()
    heir = cluster.start(victim)
    await publish(cluster, logs, (0.5, 0.8))
    await asyncio.to_thread(until, lambda: heir.metric(counter) > 0, 60, cluster.logs)
    assert time.monotonic() - frozen > 5, "the session had not ended"
    zombie.signal(signal.SIGCONT)
    await publish(cluster, logs, (0.8, 1))
    zombie.stopped = True
    await asyncio.to_thread(settled, cluster, logs)
    assert await dead_letters(cluster) == sorted(logs.poison)
    assert set(WINDOWS) == {window for _, window, _, _ in logs.sums}
