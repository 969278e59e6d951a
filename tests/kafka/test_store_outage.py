"""InfluxDB is away for longer than a partition may stand still: the worker lives and says why, alerts are on
time, and afterwards every number is what the dictionaries say."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster
from exact import compare, publish
from fake_influx import FakeInflux
from llmvitals.testing import FakeSlack
from oracle import FIELDS, VIEWS, Logs
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
START = time.time_ns() // 1_000 // DAY * DAY - 14 * 60 * MINUTE
STALL = 4.0
RULE = """\
groups:
- name: money
  rules:
  - alert: Money
    budget: {metric: cost, limit: 0.01, per: day, thresholds: [100%]}
    annotations: {summary: "All is spent"}
"""


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "money.yaml").write_text(RULE)
    # No silence is so long that what comes after the last call is closed, too.
    async with Cluster(
        kafka, topic_prefix, tmp_path, alerts=tmp_path / "rules", max_alert_age="30d", idle="1h"
    ) as made:
        yield made


@pytest.fixture
async def fake() -> AsyncIterator[FakeInflux]:
    server = FakeInflux()
    await server.start()
    yield server
    await server.stop()


def stored(fake: FakeInflux) -> dict[Any, dict[str, int]]:
    """What the fake has been given, by its lines."""
    found = {}
    for (head, at), line in dict(fake.stored).items():  # whole, as another thread reads it
        measurement, *pairs = re.split(r"(?<!\\),", head)
        tags = {key: re.sub(r"\\(.)", r"\1", value) for key, value in (pair.split("=", 1) for pair in pairs)}
        if measurement == "llm_calls" and tags["view"] in VIEWS:
            fields = dict(field.split("=", 1) for field in line.split(","))
            key = (
                tags["view"],
                tags["window"],
                int(at) // 1_000,
                tuple(tags[d] for d in VIEWS[tags["view"]]),
            )
            found[key] = {name: int(fields[name].removesuffix("i")) for name in FIELDS}
    return found


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_an_outage_longer_than_a_stall(cluster: Cluster, fake: FakeInflux, how: str) -> None:
    logs = Logs(START, 20 * MINUTE, seed=5)
    async with FakeSlack() as slack:
        cluster.values |= {
            "influx_url": fake.url, "influx_token": "secret-token", "influx_bucket": "db/rp",
            "slack_token": slack.token, "slack_api_url": slack.url, "slack_channel": "#alerts",
        }  # fmt: skip
        if how == "refused":
            await fake.stop()
        else:
            fake.answers += ["hang"] * 1_000
        await publish(cluster, logs, (0, 0.5))
        for stage in ("combine", "merge"):
            cluster.start(stage)
        sink = cluster.start("sink", LLMVITALS_STALL=f"{STALL:.0f}s")
        began = time.monotonic()
        await slack.wait_for(lambda message: "All is spent" in message.shown, deadline(60))
        await asyncio.to_thread(
            until, lambda: "InfluxDB at" in sink.reasons(), 60, "/readyz says InfluxDB" + cluster.logs()
        )
        await publish(cluster, logs, (0.5, 1))
        heir = cluster.start("sink", LLMVITALS_STALL=f"{STALL:.0f}s")
        await asyncio.to_thread(
            until, lambda: "InfluxDB at" in heir.reasons(), 60, "it takes its share" + cluster.logs()
        )
        await asyncio.to_thread(until, lambda: sink.metric("llmvitals_store_errors_total") > 1, 60)
        await asyncio.to_thread(until, lambda: time.monotonic() - began > 3 * STALL)
        assert [worker.process.poll() for worker in cluster.workers] == [None] * 4, cluster.logs()
        assert await asyncio.to_thread(sink.stop) == 0, sink.text()
        assert stored(fake) == {}

        fake.answers.clear()
        if how == "refused":
            await fake.start()
        with suppress(AssertionError):
            await asyncio.to_thread(until, lambda: stored(fake) == logs.expected(), 90)
        compare(logs, stored(fake))
        await heir.ready(10)
        assert await asyncio.to_thread(heir.stop) == 0, heir.text()
        assert len(slack.messages) == 1
