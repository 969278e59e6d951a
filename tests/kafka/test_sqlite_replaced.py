"""Real workers on a real broker, whose SQLite file is deleted under them: the new file holds every number."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster
from exact import publish, settled, stored
from oracle import Logs
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(280)]

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
START = time.time_ns() // 1_000 // DAY * DAY - 14 * 60 * MINUTE


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    (tmp_path / "store").mkdir()
    store = tmp_path / "store" / "vitals.sqlite"
    # No silence is so long that what comes after the last call is closed, too.
    async with Cluster(kafka, topic_prefix, tmp_path, sqlite=store, idle="1h") as made:
        yield made


def swap(path: Path, other: str) -> None:
    """Delete the file, or put something else there."""
    path.unlink()
    if other == "folder":
        path.mkdir()


def mend(path: Path) -> None:
    """Take it away."""
    path.rmdir()


async def test_the_new_file_holds_every_number(cluster: Cluster) -> None:
    logs, path = Logs(START, 20 * MINUTE, seed=6), Path(cluster.values["sqlite"])

    def fact(what: Any, why: Any) -> Any:
        return asyncio.to_thread(until, what, 60, why)

    await publish(cluster, logs, (0, 0.5))
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    sink = cluster.workers[-1]
    await fact(lambda: len(stored(cluster)) > 50, cluster.logs)
    swap(path, "nothing")  # in mid-stream
    await publish(cluster, logs, (0.5, 1))
    await asyncio.to_thread(settled, cluster, logs)

    swap(path, "nothing")  # when nothing more comes
    await asyncio.to_thread(settled, cluster, logs)

    swap(path, "folder")
    await fact(lambda: "can't be opened" in sink.reasons(), sink.text)
    mend(path)
    await asyncio.to_thread(settled, cluster, logs)
    await sink.ready()
    assert sink.metric("llmvitals_events_lost_by_retention_total") == 0

    assert await asyncio.to_thread(sink.stop) == 0, sink.text()
    shutil.rmtree(path.parent)  # while no sink runs
    path.parent.mkdir()
    cluster.start("sink")
    await asyncio.to_thread(settled, cluster, logs)
    for worker in cluster.workers[:2] + cluster.workers[3:]:
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
