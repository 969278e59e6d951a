"""Declared topics: read without a broker, and made so on a real one."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import commands
from llmvitals import topics
from llmvitals.errors import BrokerDown, ConfigError, LlmvitalsError
from llmvitals.local.service import free_ports
from llmvitals.record.log import Topic as Ours
from llmvitals.settings import Settings
from llmvitals.topics.change import alter_settings
from llmvitals.topics.declared import difference, shipped
from waiting import deadline

CALLS = """\
meta:
  name: llm.calls.v1
  description: What happened, one record per call.
spec:
  partitions: {partitions}
  retentionMinutes: {minutes}
  settings:
    cleanup.policy: {policy}
"""


def declare(folder: Path, *, partitions: int = 2, minutes: int = 60, policy: str = "delete") -> Path:
    """A folder that declares the calls only."""
    (folder / "1-calls.yaml").write_text(CALLS.format(partitions=partitions, minutes=minutes, policy=policy))
    return folder


# Without a broker


def test_every_topic_that_stages_write_to_is_declared():
    names = [topic.name for topic in topics.load(Settings(topic_prefix="acme"))]
    assert set(names) >= {f"acme.{ours}.v1" for ours in Ours}


def test_topics_are_declared_in_the_order_of_the_data():
    names = [topic.name.split(".", 1)[1] for topic in topics.load(Settings())]
    assert names == [
        "calls.v1", "calls.dlq.v1", "scores.v1", "partials.v1", "vitals.v1", "alerts.v1",
        "incidents.v1", "silences.v1", "verdicts.v1", "checkpoints.v1",
        "watermarks.v1",
    ]  # fmt: skip


def test_policies_are_those_of_the_design():
    declared = {topic.name: topic.settings for topic in topics.load(Settings())}
    day = 86_400_000
    assert declared["llm.calls.v1"]["message.timestamp.type"] == "LogAppendTime"
    retention = {name: int(s["retention.ms"]) // day for name, s in declared.items() if "retention.ms" in s}
    assert retention == {
        "llm.calls.v1": 7, "llm.calls.dlq.v1": 14, "llm.scores.v1": 7, "llm.partials.v1": 1, "llm.vitals.v1": 2, "llm.alerts.v1": 30,
    }  # fmt: skip
    compacted = {name for name, settings in declared.items() if settings["cleanup.policy"] == "compact"}
    assert compacted == {
        f"llm.{what}.v1" for what in ("incidents", "silences", "verdicts", "checkpoints", "watermarks")
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (CALLS.replace("description", "descripton"), "meta.descripton"),
        (CALLS.replace("{partitions}", "0"), "spec.partitions"),
        (CALLS.replace("{partitions}", "many"), "spec.partitions"),
        (CALLS.replace("cleanup.policy", "cleanup.polcy"), "no topic setting cleanup.polcy"),
        (CALLS.replace("llm.calls.v1", "calls"), "meta.name"),
        (CALLS + "    retention.ms: 1\n", "not both"),
        (CALLS.replace("spec:", "spec"), "1-calls.yaml"),
        (CALLS.replace("  partitions", "  replicationFactor: 0\n  partitions"), "replicationFactor"),
        ("[", "1-calls.yaml"),
        ("", "1-calls.yaml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_fault(tmp_path, text, fault):
    wrong = text.replace("{partitions}", "1").replace("{minutes}", "1").replace("{policy}", "delete")
    (tmp_path / "1-calls.yaml").write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        topics.load(Settings(), tmp_path)
    assert fault in str(caught.value)
    assert "1-calls.yaml" in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path):
    (tmp_path / "1-a.yaml").write_text("[")
    (tmp_path / "2-b.yaml").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        topics.load(Settings(), tmp_path)
    assert "1-a.yaml" in str(caught.value)
    assert "2-b.yaml" in str(caught.value)


def test_a_topic_declared_twice_is_refused(tmp_path):
    declare(tmp_path)
    shutil.copy(tmp_path / "1-calls.yaml", tmp_path / "2-calls.yaml")
    with pytest.raises(ConfigError, match=r"llm\.calls\.v1 is declared twice"):
        topics.load(Settings(), tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no topic"):
        topics.load(Settings(), tmp_path)


def test_a_list_of_policies_has_no_order():
    wanted = topics.Topic("t", "", 1, settings={"cleanup.policy": "compact,delete"})
    present = {"t": topics.Present(1, 1, {"cleanup.policy": "delete,compact"})}
    assert not difference([wanted], present)


def test_what_is_left_alone_is_told():
    wanted = [
        topics.Topic("few", "", 2),
        topics.Topic("state", "", 4, settings={"cleanup.policy": "compact"}),
        topics.Topic("llm.partials.v1", "", 8),
        topics.Topic("copies", "", 1, replication=3),
    ]
    present = {
        "few": topics.Present(8, 1, {}),
        "state": topics.Present(1, 1, {"cleanup.policy": "compact"}),
        "llm.partials.v1": topics.Present(4, 1, {}),
        "copies": topics.Present(1, 1, {}),
    }
    plan = difference(wanted, present)
    assert not plan
    assert [line.split()[0] for line in plan.left] == ["few", "state", "llm.partials.v1", "copies"]
    assert "few has 8 partitions, 2 are declared" in str(plan)


# On the broker


@pytest.mark.kafka
async def test_apply_creates_every_topic_and_a_second_time_does_nothing(kafka, topic_prefix):
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix)
    names = {topic.name for topic in topics.load(settings)}
    assert set(await topics.missing(settings)) == names

    planned = await topics.plan(settings)
    assert {topic.name for topic in planned.create} == names
    assert set(await topics.missing(settings)) == names, "a plan changes nothing"

    await topics.apply(settings)
    assert await topics.missing(settings) == []
    again = await topics.apply(settings)
    assert not again
    assert str(again) == "Nothing to do: all 11 topics are there."


@pytest.mark.kafka
async def test_apply_grows_a_topic_and_never_shrinks_it(kafka, topic_prefix, tmp_path):
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix)
    await topics.apply(settings, declare(tmp_path, partitions=2))
    assert await partitions(settings) == 2

    plan = await topics.plan(settings, declare(tmp_path, partitions=4))
    assert str(plan) == f"~ {topic_prefix}.calls.v1: partitions 2 → 4"
    await topics.apply(settings, tmp_path)
    assert await partitions(settings) == 4

    shrink = await topics.apply(settings, declare(tmp_path, partitions=1))
    assert not shrink
    assert "has 4 partitions, 1 are declared" in str(shrink)
    assert await partitions(settings) == 4


@pytest.mark.kafka
async def test_apply_changes_what_is_declared_and_keeps_what_others_set(kafka, topic_prefix, tmp_path):
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix)
    name = f"{topic_prefix}.calls.v1"
    await topics.apply(settings, declare(tmp_path, minutes=60))
    async with admin(kafka) as client:
        await alter_settings(client, name, {"max.message.bytes": "77777"})

    plan = await topics.plan(settings, declare(tmp_path, minutes=120))
    assert str(plan) == f"~ {name}: retention.ms 3600000 → 7200000"
    await topics.apply(settings, tmp_path)

    found = await in_force(kafka, name)
    assert found["retention.ms"] == "7200000"
    assert found["max.message.bytes"] == "77777"
    assert not await topics.plan(settings, tmp_path)


@pytest.mark.kafka
async def test_a_test_may_have_its_own_numbers_of_partitions(kafka, topic_prefix, create_topics):
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix), calls=3, calls_dlq=2)
    assert await partitions(settings) == 3
    assert await topics.missing(settings) == []


@pytest.mark.kafka
async def test_apply_deletes_nothing(kafka, topic_prefix, tmp_path):
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix)
    await topics.apply(settings)
    await topics.apply(settings, declare(tmp_path, partitions=4, minutes=10_080))
    assert await topics.missing(settings) == []


@pytest.mark.kafka
async def test_what_the_broker_refuses_is_told_with_its_reason(kafka, topic_prefix, tmp_path):
    settings = Settings(brokers=kafka, topic_prefix=topic_prefix)
    with pytest.raises(LlmvitalsError, match=r"creating .*\.calls\.v1: .*cleanup\.policy"):
        await topics.apply(settings, declare(tmp_path, policy="shred"))
    await topics.apply(settings, declare(tmp_path))
    with pytest.raises(LlmvitalsError, match=r"settings of .*\.calls\.v1: .*cleanup\.policy"):
        await topics.apply(settings, declare(tmp_path, policy="shred"))


async def test_a_broker_that_is_down_is_named():
    settings = Settings(brokers=f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(BrokerDown, match=settings.brokers):
        await topics.plan(settings)


def test_the_files_come_with_a_checkout():
    assert len(list(shipped().glob("*.yaml"))) == 11


class admin:  # noqa: N801 - reads as a function
    """aiokafka's admin client, closed at the end."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def partitions(settings: Settings) -> int:
    """How many partitions the calls have, as aiokafka says."""
    async with admin(settings.brokers) as client:
        (described,) = await client.describe_topics([settings.topic("calls")])
    return len(described["partitions"])


async def in_force(bootstrap: str, name: str) -> dict[str, str]:
    """A topic's settings, as aiokafka says."""
    async with admin(bootstrap) as client:
        (response,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {key: value for key, value, *_ in response.resources[0][4]}


@pytest.mark.kafka
@pytest.mark.parametrize("answer", ["n\n", "", "\n", "no\n"])
def test_a_no_changes_nothing_and_is_no_success(kafka, topic_prefix, tmp_path, answer):
    done = applied(tmp_path, answer, kafka, topic_prefix)
    assert done.returncode == 1, done.stderr
    assert "Apply this?" in done.stdout
    assert "Nothing was changed." in done.stdout
    assert "Traceback" not in done.stderr
    assert topic_prefix not in " ".join(asyncio.run(names(kafka)))


@pytest.mark.kafka
def test_a_yes_is_success_and_so_is_nothing_to_do(kafka, topic_prefix, tmp_path):
    for answer in ("y\n", ""):
        done = applied(tmp_path, answer, kafka, topic_prefix)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{topic_prefix}.vitals.v1" in asyncio.run(names(kafka))


def applied(folder: Path, answer: str, brokers: str, prefix: str) -> subprocess.CompletedProcess[str]:
    """`llmvitals topics apply`, and what is typed."""
    return subprocess.run(
        [sys.executable, "-m", "llmvitals", "topics", "apply"],
        cwd=folder,
        env=commands.environment({"brokers": brokers, "topic_prefix": prefix, "group": prefix}),
        input=answer,
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=False,
    )


async def names(bootstrap: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()
