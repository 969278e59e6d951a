"""A reference is learned from past calls on the real broker, gone by, and given up again."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import commands
from cluster import Cluster, rows
from waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

RULES = """
groups:
- name: meaning
  rules:
  - alert: Meaning
    drift: {by: [app], learn: 2d, min_calls: 2}
"""
MINUTE = 60_000
START = (time.time_ns() // 1_000_000 - 132 * MINUTE) // MINUTE * MINUTE
"""The last minutes are within the hour that `accept` looks at, however late in a run of all tests this one comes."""
APPS = ("chat", "search")
WORLD = np.random.default_rng(1)
CENTRES = {app: WORLD.standard_normal(16) for app in APPS}


def calls(minutes: range, partition: int) -> list[bytes]:
    """Three calls of each app in every minute; of `search` there are only ten minutes."""
    return [
        json.dumps(
            {
                "id": f"{partition}-{app}-{minute}-{n}", "ts": START + minute * MINUTE + n * 9_000 + partition,
                "model": "gpt-5", "app": app,
                "embedding": {"model": "e", "vector": (CENTRES[app] + 0.4 * WORLD.standard_normal(16)).tolist()},
            }
        ).encode()
        for minute in minutes
        for n in range(3)
        for app in APPS
        if app == "chat" or minute < 10
    ]  # fmt: skip


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    async with Cluster(
        kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", alerts=str(tmp_path / "rules")
    ) as made:
        yield made


async def publish(cluster: Cluster, minutes: range) -> None:
    for partition in range(4):
        await cluster.publish(cluster.settings.topic("calls"), partition, calls(minutes, partition))


def newest(cluster: Cluster) -> tuple[int, float | None]:
    """Of `chat`: the last minute that was looked at, and the statistic."""
    found = rows(
        cluster.values["sqlite"],
        """SELECT "start", "statistic" FROM "llm_drift" WHERE "tags" LIKE '%"chat"%' ORDER BY "start" DESC LIMIT 1""",
    )
    return ((found[0][0] // 1_000 - START) // MINUTE, found[0][1]) if found else (-1, None)


async def seen(cluster: Cluster, minute: int) -> float | None:
    await asyncio.to_thread(until, lambda: newest(cluster)[0] >= minute, 60, cluster.logs)
    return newest(cluster)[1]


async def order(cluster: Cluster, *words: str) -> commands.Said:
    settings = {name: str(value) for name, value in cluster.values.items()}
    return await asyncio.to_thread(commands.said, cluster.folder, "drift", "baseline", *words, **settings)


async def test_a_reference_is_created_gone_by_and_given_up(cluster):
    await publish(cluster, range(110))
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    assert await seen(cluster, 107) is None, "two days are not over"
    said = await order(cluster, "create", "Meaning", "--from", "4h")
    assert said.code == 0, said.text
    assert "chat 109 660" in said.text
    assert "search 9 – – too few calls to learn from" in said.text
    assert "1 of 2 series use what was learned from now on." in said.text
    await publish(cluster, range(110, 120))
    assert (await seen(cluster, 117)) is not None
    merge = cluster.workers[1]
    assert merge.metric("llmvitals_orders_total") == 1
    merge.kill()
    cluster.start("merge")
    await publish(cluster, range(120, 125))
    assert (await seen(cluster, 122)) is not None, "also by the next one"
    said = await order(cluster, "accept", "Meaning", "app=chat")
    assert "of 1 (topics" in said.text, "how it stood"
    assert "Meaning learns a new reference" in said.text
    await publish(cluster, range(125, 130))
    assert await seen(cluster, 127) is None
