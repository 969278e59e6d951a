"""Workers that were off for an hour, on a broker: what they tell when they are back."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from cluster import Cluster
from llmvitals.record.alert import Alert
from llmvitals.testing import FakeSlack
from llmvitals.window import MINUTE, SECOND
from waiting import deadline, eventually, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.kafka
PATIENCE = 150.0
RULES = """groups:
- name: g
  labels: {severity: critical}
  rules:
  - alert: TeamBudget
    budget: {limit: 10, rolling: 6h, by: [team], thresholds: [100%], verdict: block}
  - alert: SlowAnswers
    threshold: {metric: latency_p95, above: 4s, by: [app], window: 1m, min_calls: 5}
"""


def calls(begin: int, end: int, now: int) -> list[bytes]:
    """Some calls a minute, between two times before `now` (in minutes).

    From 55 minutes ago on a team spends two dollars a minute; answers are slow from 50 to 45 minutes ago.
    """
    made = []
    for second in range(-begin * 60, -end * 60, 5):
        call: dict[str, Any] = {
            "id": f"c{second}", "ts": (now + second * SECOND) // 1_000, "model": "m", "app": "chat",
            "team": "search", "cost_usd": 2 / 12 if second > -55 * 60 else 0.0,
            "latency_ms": 9_000 if -50 * 60 <= second < -45 * 60 else 100,
        }  # fmt: skip
        made.append(json.dumps(call).encode())
    return made


@pytest.mark.parametrize(
    "down", [("sink",), ("combine", "merge"), ("combine", "merge", "sink")], ids="+".join
)
async def test_after_an_hour_what_still_fires_is_told_once_and_what_is_over_is_counted(
    down: tuple[str, ...], kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES)
    async with (
        FakeSlack(["#alerts"]) as slack,
        Cluster(
            kafka, topic_prefix, tmp_path, alerts=tmp_path / "rules", default_views="false", disorder="1s",
            idle="1s", slack_token=slack.token, slack_channel=slack.channels["#alerts"],
            slack_api_url=slack.url,
        ) as cluster,
    ):  # fmt: skip
        await _live(cluster, slack, down)


async def _live(cluster: Cluster, slack: FakeSlack, down: tuple[str, ...]) -> None:
    topic, alerts = cluster.settings.topic("calls"), cluster.settings.topic("alerts")
    now = time.time_ns() // 1_000
    workers = {stage: cluster.start(stage) for stage in ("combine", "merge", "sink")}
    await cluster.publish(topic, 0, calls(70, 60, now))
    await fact(lambda: cluster.read(cluster.settings.topic("watermarks")))
    for stage in down:
        await asyncio.to_thread(workers[stage].kill)
    await cluster.publish(topic, 0, calls(60, 0, now))
    if down == ("sink",):
        await fact(lambda: ended(cluster, alerts))
    for stage in down:
        workers[stage] = cluster.start(stage)
    sink = workers["sink"]
    try:
        message = await slack.wait_for(lambda message: "TeamBudget" in message.text, deadline(PATIENCE))
    except AssertionError as error:
        raise AssertionError(cluster.logs()) from error
    assert "Sent late: llmvitals was down or behind until" in message.text
    assert "1 other alert began and ended meanwhile" in message.text
    assert slack.messages == [message]

    def blocked() -> list[Any]:
        return [
            json.loads(r.value)
            for r in asyncio.run(cluster.read(cluster.settings.topic("verdicts")))
            if r.value
        ]

    (verdict,) = await asyncio.to_thread(until, blocked, PATIENCE, cluster.logs)
    assert (verdict["rule"], verdict["verdict"]) == ("TeamBudget", "block")
    assert sink.metric("llmvitals_notifications_total", result="missed") == 1
    assert sink.metric("llmvitals_notifications_total", result="late") == 1
    assert "1 alert began and ended while llmvitals was down or behind: SlowAnswers (1)" in sink.text()
    (firing,) = await said(cluster, alerts, "TeamBudget")
    assert firing.at < now - 30 * MINUTE
    assert slack.messages == [message]


async def ended(cluster: Cluster, topic: str) -> bool:
    """Whether the slow answers were over, by the alerts topic."""
    return any(alert.status == "resolved" for alert in await said(cluster, topic, "SlowAnswers"))


async def fact(found: Callable[[], Awaitable[Any]]) -> None:
    """Wait until it is one."""
    await eventually(found, PATIENCE, every=0.2)


async def said(cluster: Cluster, topic: str, rule: str) -> list[Alert]:
    found = [Alert.decode(record.value) for record in await cluster.read(topic)]
    return [alert for alert in found if alert.rule == rule and not alert.update]
