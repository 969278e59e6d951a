"""Four things that get worse without an edge: each is told in Slack once, in words that say what it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import decline
from cluster import Cluster, rows
from desks import World
from llmvitals.backtest.replay import Replay
from llmvitals.record.alert import Alert
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack
from llmvitals.window import HOUR, MINUTE
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.testing import Posted

RULES = Path(__file__).parents[1] / "data" / "decline"
PARTITIONS = 4


def check(alerts: Sequence[Alert], posted: Sequence[Posted]) -> None:
    """Each trouble fired once and in its time, Slack has one message of it, and the rest was quiet."""
    firing = [alert for alert in alerts if alert.status == "firing" and not alert.update]
    for trouble in decline.TROUBLES:
        (alert,) = (alert for alert in firing if alert.rule == trouble.rule)
        assert alert.labels["app"] == trouble.app
        assert trouble.begin < alert.at < min(trouble.end, decline.QUIET), trouble
        (message,) = (message for message in posted if trouble.rule in message.text)
        said = (message.edits[0][0] if message.edits else message.text).lower()
        assert all(word.lower() in said for word in trouble.words), (trouble.words, said)
        assert "e-value" not in said
    assert len(firing) == len(posted) == len(decline.TROUBLES), firing


async def test_what_gets_worse_is_told_once_and_then_it_is_quiet() -> None:
    """Every minute of it, under a clock that shows the calls' own time."""
    settings = Settings(alerts=RULES, pane="1m", default_views=False)
    async with FakeSlack(["#alerts"]) as slack:
        async with World(slack, load_engine(RULES, MINUTE).rules.routing) as world:
            alerts = await world.live(Replay.of(settings), decline.lines())
        check(alerts, list(slack.messages))


@pytest.mark.kafka
async def test_the_same_through_the_workers(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """Days go by in as many seconds as the workers take; only Slack is waited for."""
    store = tmp_path / "vitals.sqlite"
    async with FakeSlack(["#alerts"]) as slack:
        async with Cluster(
            kafka, topic_prefix, tmp_path,
            alerts=str(RULES), pane="1m", default_views="false", max_alert_age="3650d", flush="100ms",
            slack_token=slack.token, slack_channel=slack.channels["#alerts"], slack_api_url=slack.url,
            sqlite=store,
        ) as cluster:  # fmt: skip
            await _start(cluster)
            await _live(cluster, slack)
            # Both statistics have points until the end of the quiet; minutes with few calls are put together.
            last = decline.END - 20 * MINUTE
            await asyncio.to_thread(until, lambda: min(_newest(store)) >= last, 60, cluster.logs)
        alerts = [Alert.decode(record.value) for record in await cluster.read(f"{topic_prefix}.alerts.v1")]
        check(alerts, list(slack.messages))
    drifted = rows(store, "SELECT max(statistic) FROM llm_drift WHERE start < ?", decline.LAST)
    assert drifted[0][0] < 1


def _newest(store: Path) -> list[int]:
    """The newest start of the points of both statistics."""
    asked = [rows(store, f"SELECT max(start) FROM {name}") for name in ("llm_drift", "llm_canary")]
    return [found[0][0] or 0 if found else 0 for found in asked]


async def _start(cluster: Cluster) -> None:
    for stage in ("combine", "merge", "sink"):
        cluster.start(stage)
    for worker in cluster.workers:
        await worker.ready()


async def _live(cluster: Cluster, slack: FakeSlack) -> None:
    """The days, and on the last one no further than what has to be in Slack before it is over."""
    events, done = decline.lines(), 0
    for upto, rules in ((8, ("Topics",)), (15, ("Version", "Slower", "Toxic")), (24, ())):
        piece = [line for at, line in events[done:] if at < decline.LAST + upto * HOUR]
        done += len(piece)
        parts = [piece[number::PARTITIONS] for number in range(PARTITIONS)]
        topic = cluster.settings.topic("calls")
        await asyncio.gather(*(cluster.publish(topic, number, part) for number, part in enumerate(parts)))
        for rule in rules:
            await slack.wait_for(lambda message, rule=rule: rule in message.text, deadline(90))
