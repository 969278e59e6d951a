"""A company's week with twelve incidents: what is heard of it, and how often."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import company
from cluster import Cluster
from desks import World
from llmvitals.backtest.replay import Replay
from llmvitals.record.alert import Alert
from llmvitals.rules.engine import load_engine
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack
from llmvitals.window import DAY, MINUTE
from waiting import deadline, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.testing import Posted

RULES = Path(__file__).parents[1] / "data" / "company"
MOST = 40
"""Messages in Slack that a week may cost."""
PARTITIONS = 4
DAYS = int(os.environ.get("LLMVITALS_TEST_DAYS", "1"))
"""So many days of the week are lived on a broker, with a kill in each incident; 7 take ten minutes a run."""


def told(incident: company.Incident, alert: Alert) -> bool:
    """Whether the alert is about the incident."""
    return (
        alert.rule == incident.rule
        and incident.labels.items() <= alert.labels.items()
        and incident.begin <= alert.since < incident.end + incident.over
    )


def about(incident: company.Incident, message: Posted) -> bool:
    """Whether the message tells of the incident."""
    return incident.rule in message.text and all(value in message.shown for value in incident.labels.values())


def lived() -> list[company.Incident]:
    """The incidents of the days that are lived on a broker."""
    return [each for each in company.INCIDENTS if each.end < company.START + DAYS * DAY]


@cache
def calls() -> list[tuple[int, bytes]]:
    """When each call of the week ends (µs), and the call."""
    return [(event["ts"] * 1_000, json.dumps(event).encode()) for event in company.week()]


@pytest.mark.timeout(900)  # a minute where nothing else runs
async def test_a_week_is_heard_and_few_messages_tell_it() -> None:
    """Every minute of it, under a clock that shows the calls' own time."""
    settings = Settings(alerts=RULES, pane="1m", default_views=False)
    async with FakeSlack(["#alerts"]) as slack:
        async with World(slack, load_engine(RULES, MINUTE).rules.routing) as world:
            alerts = await world.live(Replay.of(settings), calls())
        messages_ = list(slack.messages)

    firing = [alert for alert in alerts if alert.status == "firing"]
    for incident in company.INCIDENTS:
        heard = [alert.at for alert in firing if told(incident, alert)]
        assert heard, incident
        assert min(heard) - incident.begin <= incident.within, incident
        assert len([message for message in messages_ if about(incident, message)]) >= 1, incident
    unexpected = [a for a in firing if not any(told(i, a) for i in company.INCIDENTS)]
    # Callers of a provider that is down have errors: true, and muted by the provider's own alert.
    assert {alert.rule for alert in unexpected} <= {"AppErrors"}
    assert not [message.text for message in messages_ if "AppErrors" in message.text]
    assert len(messages_) == len(company.INCIDENTS), [message.text for message in messages_]
    assert len(messages_) + sum(len(message.thread) for message in messages_) <= MOST
    assert all(message.text[0] in "🟢⚫" for message in messages_)


@pytest.mark.kafka
async def test_the_week_with_a_kill_in_every_incident(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """kill -9 in the middle of each, of each kind of process in turn: one message each, none twice."""
    workers = 3
    # A day goes by in seconds, but what mutes an alert may still come after it.
    text = (RULES / "rules.yaml").read_text().replace("group_wait: 30s", "group_wait: 5s")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(text)
    async with FakeSlack(["#alerts"]) as slack:
        async with Cluster(
            kafka, topic_prefix, tmp_path,
            alerts=str(tmp_path / "rules"), pane="1m", default_views="false", max_alert_age="3650d",
            slack_token=slack.token, slack_channel=slack.channels["#alerts"], slack_api_url=slack.url, flush="100ms",
        ) as cluster:  # fmt: skip
            await _start(cluster, workers)
            await _live(cluster, slack, workers)
        posted = list(slack.messages)
        alerts = [Alert.decode(record.value) for record in await cluster.read(f"{topic_prefix}.alerts.v1")]
    incidents = lived()
    for incident in incidents:
        assert any(told(incident, alert) for alert in alerts if alert.status == "firing"), incident
    texts = [message.text for message in posted]
    # A day goes by so fast that a shard which was killed may tell of callers' errors once the outage that
    # muted them is over.
    assert len([text for text in texts if "AppErrors" not in text]) == len(incidents), "; ".join(texts)
    assert all(any(about(incident, message) for message in posted) for incident in incidents), texts
    assert len(posted) + sum(len(message.thread) for message in posted) <= MOST


async def _start(cluster: Cluster, workers: int) -> None:
    for _ in range(workers):
        for stage in ("combine", "merge", "sink"):
            cluster.start(stage)
    for worker in cluster.workers:
        await worker.ready()


async def _live(cluster: Cluster, slack: FakeSlack, workers: int) -> None:
    """The week, piece by piece: up to an incident's middle, a kill, and on once it is in Slack."""
    topic = cluster.settings.topic("calls")
    end = company.START + DAYS * DAY
    events = [(at, line) for at, line in calls() if at < end]
    done = 0
    for number, incident in enumerate(lived()):
        stage = ("combine", "merge", "sink")[number % 3]
        middle = incident.begin + incident.within + 15 * MINUTE
        piece = [line for at, line in events[done:] if at < middle]
        done += len(piece)
        await _publish(cluster, topic, piece)
        victim = next(w for w in cluster.workers if w.stage == stage and w.process.poll() is None)
        await asyncio.to_thread(victim.kill)
        assert victim.process.returncode == -signal.SIGKILL
        cluster.start(stage)
        await slack.wait_for(lambda message, incident=incident: about(incident, message), deadline(90))
    await _publish(cluster, topic, [line for _, line in events[done:]])
    sinks = [w for w in cluster.workers if w.stage == "sink" and w.process.poll() is None]
    assert len(sinks) == workers

    await eventually(
        lambda: all(message.text[0] in "🟢⚫" for message in slack.messages),
        120,
        lambda: str([message.text for message in slack.messages]),
    )


async def _publish(cluster: Cluster, topic: str, piece: Sequence[bytes]) -> None:
    parts: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for number, line in enumerate(piece):
        parts[number % PARTITIONS].append(line)
    await asyncio.gather(*(cluster.publish(topic, number, lines) for number, lines in enumerate(parts)))
