"""The gateway on a real broker: what was answered with 200 is on the topic, and counts as it was sent."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

import commands
from llmvitals.backtest.replay import replay_lines
from llmvitals.local.kafka import LocalKafka
from llmvitals.local.service import free_ports
from llmvitals.settings import Settings
from waiting import deadline, eventually

DATA = Path(__file__).parents[1] / "data"
PAYLOADS = (DATA / "ingest" / "litellm_proxy_generic_api.json").read_bytes()
PROTOBUF, JSON, LINES = "application/x-protobuf", "application/json", "application/x-ndjson"

Request = tuple[str, bytes, str]


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`llmvitals gateway` on a free port: the process, and its address."""
    port = free_ports(1)[0]
    process = commands.start(folder, "gateway", gateway_port=str(port), **settings)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


async def status(session: aiohttp.ClientSession, url: str) -> int:
    """0 while nobody listens."""
    try:
        async with session.get(url) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def read(broker: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    found: list[bytes] = []
    try:
        async with asyncio.timeout(deadline(20)):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [record.value for record in records]
    finally:
        await consumer.stop()
    return found


def calls(count: int, **more: Any) -> list[bytes]:
    made = [{"id": f"c{n}", "ts": 1_764_000_000_000 + n, "model": "gpt-5", "input_tokens": n, "output_tokens": 1}
            for n in range(count)]  # fmt: skip
    return [json.dumps(call | more).encode() for call in made]


def each_form() -> tuple[list[Request], list[bytes]]:
    """Requests of each form, and the same as records of a topic."""
    requests: list[Request] = []
    records: list[bytes] = []
    for file in sorted((DATA / "interop").iterdir()):
        if file.name.endswith(".rest.json"):
            for request in json.loads(file.read_bytes()):
                requests.append((request["path"], json.dumps(request["body"]).encode(), JSON))
                records.append(json.dumps(request).encode())
        elif file.suffix == ".pb":
            path = "/v1/logs" if file.name.endswith(".logs.pb") else "/v1/traces"
            requests.append((path, file.read_bytes(), PROTOBUF))
            records.append(file.read_bytes())
    requests += [("/litellm", PAYLOADS, JSON), ("/v1/calls", b"\n".join(calls(50)), LINES)]
    return requests, [*records, PAYLOADS, *calls(50)]


@pytest.mark.kafka
async def test_each_form_counts_as_if_it_had_been_on_the_topic(
    kafka: str, topic_prefix: str, tmp_path: Path, create_topics: Callable[..., Awaitable[Settings]]
) -> None:
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix), calls=1)
    requests, records = each_form()
    with running(tmp_path, brokers=kafka, topic_prefix=topic_prefix) as (process, url):
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: _is(status(session, f"{url}/readyz"), 200))
            for path, body, content_type in requests:
                async with session.post(
                    f"{url}{path}", data=body, headers={"Content-Type": content_type}
                ) as answer:
                    assert answer.status == 200, (path, await answer.text())
            large = json.dumps([json.loads(call) for call in calls(1, input_text="x" * 1_500_000)]).encode()
            async with session.post(
                f"{url}/v1/calls", data=BytesIO(large), headers={"Content-Type": JSON}
            ) as answer:
                assert answer.status == 400  # as combine would: a single call has its own limit
        process.send_signal(signal.SIGTERM)
        ended = commands.end(process)
    assert ended.code == 0, ended.text
    arrived = await read(kafka, settings.topic("calls"), len(records) - 1 + len(json.loads(PAYLOADS)))
    sent = await asyncio.to_thread(replay_lines, records, settings)
    found = await asyncio.to_thread(replay_lines, arrived, settings)
    assert found["totals"] == sent["totals"]
    assert found["kinds"] == sent["kinds"]
    assert found["dead_letters"] == sent["dead_letters"] == {}
    assert found["totals"]["calls"] > 100


async def _is(answer: Awaitable[int], expected: int) -> bool:
    return await answer == expected


@pytest.mark.kafka
async def test_an_export_larger_than_kafkas_usual_limit_arrives(
    kafka: str, topic_prefix: str, tmp_path: Path, create_topics: Callable[..., Awaitable[Settings]]
) -> None:
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix))
    export = json.loads((DATA / "ingest" / "otlp_genai_latest.json").read_bytes())
    export["resourceSpans"][0]["resource"]["attributes"].append(
        {"key": "padding", "value": {"stringValue": "x" * 2_000_000}}
    )
    with running(tmp_path, brokers=kafka, topic_prefix=topic_prefix) as (_, url):
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: _is(status(session, f"{url}/readyz"), 200))
            async with session.post(
                f"{url}/v1/traces", data=BytesIO(json.dumps(export).encode()), headers={"Content-Type": JSON}
            ) as answer:
                assert answer.status == 200, await answer.text()
    (value,) = await read(kafka, settings.topic("calls"), 1)
    assert json.loads(value) == export


@pytest.mark.kafka
def test_without_the_topic_it_ends_and_says_why(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    said = commands.said(tmp_path, "gateway", brokers=kafka, topic_prefix=topic_prefix, gateway_port="0")
    assert said.code == 1
    assert f"has no topic {topic_prefix}.calls.v1" in said.text


async def test_while_kafka_is_down_it_answers_503_and_ends_when_told(tmp_path: Path) -> None:
    with running(tmp_path, brokers="127.0.0.1:9") as (process, url):
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: _is(status(session, f"{url}/healthz"), 200))
            async with session.post(f"{url}/v1/calls", json=json.loads(calls(1)[0])) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert "not ready" in (await answer.json())["error"]
            assert await status(session, f"{url}/readyz") == 503
        process.send_signal(signal.SIGTERM)
        ended = commands.end(process)
    assert ended.code == 0, ended.text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"gateway_host": "0.0.0.0"}, "anybody there could send: set LLMVITALS_GATEWAY_TOKEN"),  # noqa: S104
        ({"formats": '{"llm.calls.v1": "native"}'}, "take it out of LLMVITALS_FORMATS"),
    ],
)
def test_wrong_settings(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    said = commands.said(tmp_path, "gateway", brokers="127.0.0.1:9", **settings)
    assert said.code == 2
    assert told in said.text


@pytest.mark.kafka
async def test_what_kafka_did_not_acknowledge_is_no_success(
    kafka_server: LocalKafka,
    topic_prefix: str,
    tmp_path: Path,
    create_topics: Callable[..., Awaitable[Settings]],
) -> None:
    """A broker that hangs: 503, at once from the second request on; when it answers again, nothing is lost."""
    broker = kafka_server.address
    settings = await create_topics(Settings(brokers=broker, topic_prefix=topic_prefix))
    ids = {f"c{n}" for n in range(3)}
    first, second, third = (json.loads(call) for call in calls(3))
    with running(tmp_path, brokers=broker, topic_prefix=topic_prefix) as (_, url):
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: _is(status(session, f"{url}/readyz"), 200))

            async def sent(call: Any) -> int:
                async with session.post(f"{url}/v1/calls", json=call) as answer:
                    return answer.status

            assert await sent(first) == 200
            kafka_server.pause()
            try:
                assert await sent(second) == 503
                assert await status(session, f"{url}/readyz") == 503
                async with asyncio.timeout(5):  # not the ten seconds that the other has waited
                    assert await sent(third) == 503
            finally:
                kafka_server.resume()
            await eventually(lambda: _is(sent(third), 200))
            await eventually(lambda: _is(status(session, f"{url}/readyz"), 200))
    assert {json.loads(value)["id"] for value in await read(broker, settings.topic("calls"), 3)} == ids
