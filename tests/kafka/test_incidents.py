"""The desk in workers on a broker: killed, doubled, and told by the command line what to keep quiet."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cluster import Cluster
from desks import alert
from llmvitals.testing import FakeSlack
from waiting import deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from llmvitals.record.alert import Alert

pytestmark = pytest.mark.kafka
PATIENCE = 60.0


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as fake:
        yield fake


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path, slack: FakeSlack) -> AsyncIterator[Cluster]:
    async with Cluster(
        kafka, topic_prefix, tmp_path, slack_token=slack.token, slack_api_url=slack.url,
        slack_channel=slack.channels["#alerts"],
    ) as made:  # fmt: skip
        yield made


def now() -> int:
    return time.time_ns() // 1_000


async def publish(cluster: Cluster, *alerts: Alert) -> None:
    await cluster.publish(cluster.settings.topic("alerts"), 0, [each.encode() for each in alerts])


async def command(cluster: Cluster, *words: str) -> str:
    """What `llmvitals …` prints, when all goes well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llmvitals", *words, env=cluster.env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), deadline(PATIENCE))
    assert process.returncode == 0, out
    return out.decode()


async def test_a_worker_killed_between_slacks_answer_and_its_mark_posts_nothing_twice(
    cluster: Cluster, slack: FakeSlack
) -> None:
    dying = cluster.start("sink", LLMVITALS_CRASH_AT="after-tick:1")
    begin = now()
    await publish(cluster, alert(begin=begin, at=begin))
    assert await dying.ends(PATIENCE) == -signal.SIGKILL
    assert len(slack.messages) == 1, cluster.logs()
    cluster.start("sink")
    await publish(cluster, alert(status="resolved", begin=begin, at=now()))
    message = await slack.wait_for(lambda message: "Resolved" in message.text, deadline(PATIENCE))
    assert slack.messages == [message]


async def test_of_two_workers_one_tells_and_the_other_takes_over(cluster: Cluster, slack: FakeSlack) -> None:
    """Five copies from five replicas (LiteLLM 7389) are what this is not."""
    first, second = cluster.start("sink"), cluster.start("sink")
    begin = now()
    await publish(cluster, *(alert(team, begin=begin, at=begin) for team in ("a", "b")))
    for team in ("a", "b"):
        await slack.wait_for(lambda message, team=team: f"team {team}" in message.text, deadline(PATIENCE))
    first.kill()
    await publish(cluster, alert("a", "resolved", begin=begin, at=now()), alert("c", begin=now(), at=now()))
    await slack.wait_for(lambda message: "Resolved" in message.text, deadline(PATIENCE))
    await slack.wait_for(lambda message: "team c" in message.text, deadline(PATIENCE))
    # One of the two killed had the alerts.
    cluster.start("sink")
    second.kill()
    await publish(cluster, alert("b", "resolved", begin=begin, at=now()))
    await slack.wait_for(
        lambda message: "team b" in message.text and "Resolved" in message.text, deadline(PATIENCE)
    )
    assert len(slack.messages) == 3, [message.text for message in slack.messages]


async def test_an_alert_does_not_wait_for_the_next_tick(cluster: Cluster, slack: FakeSlack) -> None:
    worker = cluster.start("sink", LLMVITALS_FLUSH="1h")
    await worker.ready()
    begin = now()
    await publish(cluster, alert("search", begin=begin, at=begin))
    await slack.wait_for(lambda message: "team search" in message.text, deadline(PATIENCE))


async def test_a_silence_of_the_command_line_is_obeyed_and_its_end_too(
    cluster: Cluster, slack: FakeSlack
) -> None:
    cluster.start("sink")
    made = await command(
        cluster,
        "silence",
        "add",
        "team=search",
        "rule=~Team.*",
        "--for",
        "2h",
        "--by",
        "Ann",
        "--comment",
        "moving",
    )
    assert "0 alerts that fire now match" in made
    begin = now()
    await publish(cluster, alert("search", begin=begin, at=begin), alert("ads", begin=begin, at=begin))
    await slack.wait_for(lambda message: "team ads" in message.text, deadline(PATIENCE))
    rows = [json.loads(line) for line in (await command(cluster, "alerts", "list", "--json")).splitlines()]
    states = {row["labels"]["team"]: row["state"] for row in rows}
    assert states["ads"] == "told"
    assert states["search"].startswith("silenced by Ann until ")
    assert len(slack.messages) == 1
    (row,) = (await command(cluster, "silence", "list", "--json")).splitlines()
    assert (json.loads(row)["by"], json.loads(row)["comment"]) == ("Ann", "moving")
    await command(cluster, "silence", "expire", json.loads(row)["id"])
    await slack.wait_for(lambda message: "team search" in message.text, deadline(PATIENCE))
    assert "Nothing is silenced." in await command(cluster, "silence", "list")
