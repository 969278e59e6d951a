"""Texts scored by a worker on a broker: it is killed, it hangs, it is not there, and costs come in time."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster, rows
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.kafka

PANE = 1_000_000
PARTITIONS = 4


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    scorers = [{"scorer": "llmvitals.testing.scorer:FailingScorer", "timeout": "500ms", "batch": 16}]
    async with Cluster(
        kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", text="score", scorers=json.dumps(scorers),
        pane="1s", disorder="1s", idle="2s",
    ) as made:  # fmt: skip
        yield made


async def publish(
    cluster: Cluster, name: str, text: str, count: int = 40, partitions: int = PARTITIONS
) -> None:
    """Calls of an app with this answer that end now, on so many partitions; each costs a dollar."""
    now = time.time_ns() // 1_000_000
    for partition in range(partitions):
        values = [
            {
                "id": f"{name}-{partition}-{n}",
                "ts": now,
                "model": "m",
                "app": name,
                "cost_usd": 1,
                "output_text": text,
            }
            for n in range(count // partitions)
        ]
        topic = cluster.settings.topic("calls")
        await cluster.publish(topic, partition, [json.dumps(value).encode() for value in values])


def total(cluster: Cluster, measurement: str, field: str, app: str) -> float:
    """A sum over all panes, of the apps whose names begin so."""
    sql = (
        f"SELECT SUM({field}) FROM {measurement} WHERE view = 'app' AND window = '1s' "
        "AND json_extract(tags, '$.app') LIKE ?"
    )
    found = rows(cluster.values["sqlite"], sql, f"{app}%")
    return (found[0][0] or 0) if found else 0


async def happens(fact: Any, cluster: Cluster, seconds: float = 90) -> None:
    await asyncio.to_thread(until, fact, seconds, cluster.logs)


@asynccontextmanager
async def time_goes_on(cluster: Cluster) -> AsyncIterator[None]:
    """Calls without a text, so that event time goes on.

    No publish is cancelled: aiokafka loses the connection of a client that is cancelled while it starts.
    """
    over = asyncio.Event()

    async def tick() -> None:
        while not over.is_set():
            await publish(cluster, f"tick-{time.time_ns()}", "", PARTITIONS)
            await asyncio.sleep(0.3)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        over.set()
        await ticking


async def test_every_text_is_scored_though_the_scorer_is_killed(cluster: Cluster) -> None:
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    dying = cluster.start("score", LLMVITALS_CRASH_AT="after-send:2")
    for number in range(3):
        await publish(cluster, f"bad-{number}", "a bad answer cAnArY")
    assert await dying.ends(30) == -signal.SIGKILL, cluster.logs()
    heir = cluster.start("score")
    await publish(cluster, "good", "a good answer cAnArY", 120)
    await happens(
        lambda: heir.metric("llmvitals_lag") == 0 and heir.metric("llmvitals_texts_scored_total") > 0, cluster
    )
    async with time_goes_on(cluster):
        await happens(lambda: total(cluster, "llm_toxicity", "scored_calls", "") >= 240, cluster)
    records = await cluster.read(cluster.settings.topic("scores"))
    found = [json.loads(record.value) for record in records]
    assert len({one["target_id"] for one in found}) == 240
    assert {one["toxicity"] for one in found if one["target_id"].startswith("bad")} == {0.9}
    assert b"cAnArY" not in b"".join(record.value for record in records)
    assert "cAnArY" not in cluster.logs()
    for field, each in (("calls", 1), ("cost_nano", 10**9)):
        assert total(cluster, "llm_calls", field, "bad") == 120 * each
        assert total(cluster, "llm_calls", field, "good") == 120 * each


async def test_a_scorer_that_is_away_or_hangs_holds_up_no_costs(cluster: Cluster) -> None:
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    async with time_goes_on(cluster):
        await publish(cluster, "away", "HANG", 16, 1)
        await happens(lambda: total(cluster, "llm_calls", "calls", "away") == 16, cluster)
        worker = cluster.start("score")
        await happens(lambda: worker.metric("llmvitals_texts_unscored_total") > 0, cluster)
        await publish(cluster, "hanging", "HANG", 8, 1)
        await happens(lambda: total(cluster, "llm_calls", "calls", "hanging") == 8, cluster, 15)
        await happens(lambda: total(cluster, "llm_toxicity", "unscored_calls", "away") == 16, cluster)
        await happens(lambda: total(cluster, "llm_toxicity", "unscored_calls", "hanging") == 8, cluster)
    assert worker.process.poll() is None
    assert await asyncio.to_thread(worker.stop) == 0, cluster.logs()
