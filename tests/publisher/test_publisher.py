"""The publisher costs the application a queue, whatever Kafka does."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import BaseModel

from llmvitals import Publisher
from llmvitals.errors import ConfigError
from waiting import deadline, until

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from llmvitals.local.kafka import LocalKafka

NOBODY = "127.0.0.1:9"


def call(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {"id": f"c{number}", "ts": 1_735_732_800_000, "model": "gpt-5", **fields}


async def create(broker: str, topic: str, partitions: int = 4) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def read(broker: str, topic: str, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    found: list[ConsumerRecord] = []
    try:
        async with asyncio.timeout(deadline(20)):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += records
    finally:
        await consumer.stop()
    return found


# --- on a real broker ----------------------------------------------------------------------------


@pytest.mark.kafka
async def test_calls_arrive_keyed_by_session_then_trace(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)

    class Made(BaseModel):
        id: str
        session: str | None = None

    with Publisher(brokers=kafka, topic=topic) as publisher:
        assert publisher.publish(call(1, session="s", trace_id="t"))
        assert publisher.publish(call(2, trace_id="t"))
        assert publisher.publish(call(3))
        assert publisher.publish(Made(id="c4", session="s"))
    assert (publisher.sent, publisher.dropped, publisher.failed, publisher.waiting) == (4, 0, 0, 0)
    records = await read(kafka, topic, 4)
    assert {json.loads(r.value)["id"]: r.key for r in records} == {
        "c1": b"s",
        "c2": b"t",
        "c3": None,
        "c4": b"s",
    }
    assert json.loads(next(r.value for r in records if r.key == b"t")) == call(2, trace_id="t")
    assert len({r.partition for r in records if r.key == b"s"}) == 1


@pytest.mark.kafka
async def test_closing_sends_everything_and_counts_it(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)
    publisher = Publisher(brokers=kafka, topic=topic, queue=50_000)
    for number in range(20_000):
        publisher.publish(call(number))
    publisher.close()
    assert (publisher.sent, publisher.dropped, publisher.failed) == (20_000, 0, 0)
    assert {json.loads(r.value)["id"] for r in await read(kafka, topic, 20_000)} == {
        f"c{number}" for number in range(20_000)
    }


@pytest.mark.kafka
async def test_async_code_can_wait_for_kafka(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)
    async with Publisher(brokers=kafka, topic=topic) as publisher:
        assert await publisher.apublish(call(1)) is True
        assert publisher.sent == 1
        assert await asyncio.gather(*(publisher.apublish(call(n)) for n in range(2, 50))) == [True] * 48
    assert await publisher.apublish(call(99)) is False


@pytest.mark.kafka
async def test_what_kafka_refuses_for_good_is_counted_and_its_neighbours_go_on(
    kafka: str, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)
    async with Publisher(brokers=kafka, topic=topic) as publisher:
        assert await publisher.apublish(call(1, input_text="x" * 2_000_000)) is False
        assert await publisher.apublish(call(2)) is True
    assert (publisher.sent, publisher.failed) == (1, 1)


@pytest.mark.kafka
async def test_calls_wait_for_a_broker_that_comes_later(kafka_server: LocalKafka, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka_server.address, topic)
    with Publisher(brokers=kafka_server.address, topic=topic) as publisher:
        publisher.publish(call(1))
        until(lambda: publisher.sent == 1)
        kafka_server.kill()
        for number in range(2, 12):
            assert publisher.publish(call(number))
        assert publisher.sent == 1
        kafka_server.restart()
        until(lambda: publisher.sent == 11, 60)
    assert (publisher.dropped, publisher.failed) == (0, 0)
    ids = {json.loads(r.value)["id"] for r in await read(kafka_server.address, topic, 11)}
    assert ids == {f"c{number}" for number in range(1, 12)}


@pytest.mark.kafka
async def test_a_missing_topic_is_one_warning_and_calls_wait_for_it(
    kafka: str, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{topic_prefix}.calls.v1"
    with Publisher(brokers=kafka, topic=topic) as publisher:
        for number in range(3):
            publisher.publish(call(number))
        warned = publisher._queue._warned
        await asyncio.to_thread(until, lambda: "topic" in warned and warned["topic"].since >= 2, 60)
        (warning,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert f"has no topic {topic} (`llmvitals topics apply` creates it)" in warning.getMessage()
        assert "3 calls wait, and so far 0 were sent, 0 dropped, 0 failed" in warning.getMessage()
        await create(kafka, topic)
        await asyncio.to_thread(until, lambda: publisher.sent == 3, 60)


@pytest.mark.kafka
async def test_not_even_debugging_shows_what_is_sent(
    kafka: str, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)
    caplog.set_level(logging.DEBUG)
    async with Publisher(brokers=kafka, topic=topic) as publisher:
        assert await publisher.apublish(call(session="planted-key", input_text="planted")) is True
    assert "planted" not in caplog.text


# --- without one ---------------------------------------------------------------------------------


def test_a_broker_that_is_down_costs_neither_time_nor_an_error(caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(brokers=NOBODY, queue=100)
    began = time.monotonic()
    taken = [publisher.publish(call(number)) for number in range(5_000)]
    assert time.monotonic() - began < deadline(1)
    assert (sum(taken), publisher.waiting, publisher.dropped) == (100, 100, 4_900)
    began = time.monotonic()
    publisher.close(timeout=0.2)
    assert time.monotonic() - began < deadline(3)
    assert (publisher.sent, publisher.dropped, publisher.failed, publisher.waiting) == (0, 5_000, 0, 0)
    assert publisher.publish(call()) is False
    ours = [r for r in caplog.records if r.name == "llmvitals.publisher"]
    assert len({r.msg for r in ours}) == len(ours)  # each cause at most once a minute
    assert "100 calls wait" in caplog.text
    assert "closed before Kafka had taken 100 calls" in caplog.text


async def test_async_code_is_told_when_the_time_is_up() -> None:
    publisher = Publisher(brokers=NOBODY)
    waiting = asyncio.create_task(publisher.apublish(call()))
    await asyncio.sleep(0)
    await asyncio.to_thread(publisher.close, 0.1)
    assert await waiting is False


@pytest.mark.parametrize(
    "bad", [None, 17, "text", {"model": object()}, {1: 2}, {"n": 2**70}, {"text": "\ud800"}, [1, 2]]
)
def test_what_is_no_call_is_counted_and_raises_nothing(bad: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(brokers=NOBODY) as publisher:
        assert publisher.publish(bad) is False
    assert (publisher.failed, publisher.waiting) == (1, 0)
    assert "can't be written as JSON" in caplog.text


def test_no_text_of_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Publisher(brokers=NOBODY, queue=1) as publisher:
        publisher.publish({"input_text": "planted", "bad": object()})
        publisher.publish(call(input_text="planted"))
        publisher.publish(call(input_text="planted"))
        publisher.close(timeout=0.1)
    assert "planted" not in caplog.text


def test_wrong_settings_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMVITALS_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    with pytest.raises(ConfigError, match="SASL_PLAINTEXT sends the password unencrypted"):
        Publisher()


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True, text=True, timeout=deadline(60), check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_importing_it_brings_in_nothing_heavy() -> None:
    done = python(
        "import sys, llmvitals\n"
        "assert 'pydantic' not in sys.modules, 'the package alone should be light'\n"
        "llmvitals.Publisher\n"
        "found = {'faust', 'numpy', 'aiokafka', 'aiohttp'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_fork_has_a_publisher_of_its_own() -> None:
    done = python(
        "import os, sys, llmvitals\n"
        f"p = llmvitals.Publisher(brokers='{NOBODY}', queue=2)\n"
        "p.publish({'id': 'a'})\n"
        "if os.fork() == 0:\n"
        "    ok = p.publish({'id': 'b'}) and p.waiting == 1 and any(\n"
        "        t.name == 'llmvitals-publisher' for t in __import__('threading').enumerate())\n"
        "    os._exit(0 if ok else 1)\n"
        "_, status = os.wait()\n"
        "assert status == 0 and p.waiting == 1\n"
        "p.close(0.1)\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.kafka
async def test_a_program_that_forgets_to_close_still_sends(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.calls.v1"
    await create(kafka, topic)
    code = (
        "import os, time, llmvitals\n"
        "p = llmvitals.Publisher(brokers=os.environ['BROKER'], topic=os.environ['TOPIC'])\n"
        "p.publish({'id': 'first'})\n"
        "while not p.sent: time.sleep(0.01)\n"
        "p.publish({'id': 'last'})\n"
    )
    done = await asyncio.to_thread(python, code, BROKER=kafka, TOPIC=topic)
    assert done.returncode == 0, done.stderr
    assert [json.loads(r.value)["id"] for r in await read(kafka, topic, 2)] in (
        ["first", "last"], ["last", "first"],
    )  # fmt: skip
