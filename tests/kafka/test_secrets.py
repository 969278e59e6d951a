"""Secrets, prompts and answers are found nowhere; what users write does nothing; nothing is open to others."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from influxdb_client import InfluxDBClient

import commands
from cluster import Cluster, rows
from llmvitals.testing import FakeSlack
from real_parts import have, started
from secured_kafka import SecuredKafka
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands import Deaf
    from llmvitals.local.influx import InfluxBucket

CANARY = "cAnArY"
"""A part of everything that must not be found."""
PASSWORD = f"{CANARY}-sasl"
PROPERTIES = f"""\
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required \
username="broker" password="broker" user_broker="broker" user_llmvitals="{PASSWORD}";
"""
RULES = """\
groups:
- name: money
  rules:
  - alert: UserSpends
    budget: {metric: cost, limit: 1, rolling: 1h, by: [team, user], thresholds: [100%]}
    annotations: {summary: "{user} of {team} spent {value}"}
"""
EVIL = (
    "<!channel> <!here|x> <@U00000001> <https://evil.example/|your invoice> *b* `c` \u202egnp &amp; @everyone"
)
RECORDINGS = Path(__file__).parents[1] / "data" / "ingest"
SAID = {b"Say hello.": b"cAnArY-ask", b"Hello there, friend.": b"cAnArY-answers-here."}
"""What is asked and answered in the recordings, and texts of the same length for it."""


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    for broker in started(SecuredKafka("SASL_PLAINTEXT", PROPERTIES)):
        yield have(broker).address


@pytest.fixture
async def slack() -> Any:
    async with FakeSlack() as fake:
        fake.token = f"xoxb-{CANARY}-slack"
        yield fake


@pytest.fixture
def canaries(
    locked: str, topic_prefix: str, influx: InfluxBucket, slack: FakeSlack, tmp_path: Path
) -> dict[str, str]:
    """Settings with a secret wherever there can be one."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "money.yaml").write_text(RULES)
    return {
        "brokers": locked, "topic_prefix": topic_prefix, "group": topic_prefix, "session_timeout": "6s",
        "security_protocol": "SASL_PLAINTEXT", "allow_plaintext": "true", "sasl_username": "llmvitals",
        "sasl_password": PASSWORD, "alerts": str(tmp_path / "rules"), "idle": "3s",
        "sqlite": str(tmp_path / "vitals.db"), "influx_url": influx.url, "influx_token": a_user(influx),
        "influx_org": influx.org, "influx_bucket": influx.bucket, "slack_token": slack.token,
        "slack_webhook": f"{slack.webhook_url}-{CANARY}", "slack_api_url": slack.url,
        "slack_channel": "#alerts",
    }  # fmt: skip


def a_user(influx: InfluxBucket) -> str:
    """The token of a user of InfluxDB whose password is a canary."""
    name, password = f"u{influx.bucket[:11]}", f"{CANARY}-influx"
    question = f"CREATE USER {name} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"
    login = base64.b64encode(influx.token.encode()).decode()
    request = urllib.request.Request(
        f"{influx.url}/query?{urllib.parse.urlencode({'q': question})}",
        method="POST",
        headers={"Authorization": f"Basic {login}"},
    )
    with urllib.request.urlopen(request, timeout=deadline(10)) as answer:
        assert answer.status == 200
    return f"{name}:{password}"


def events(now: int) -> list[bytes]:
    """Calls in every format, with what was asked and answered in them; and such as can't be read. now: ms."""
    texts = {
        "input_text": f"{CANARY} asks",
        "output_text": f"{CANARY} answers",
        "unknown": {CANARY: [CANARY]},
    }
    call = {
        "ts": now - 60_000,
        "model": "gpt-5",
        "input_tokens": 9,
        "output_tokens": 9,
        "team": "search",
        **texts,
    }
    found = [
        json.dumps({**call, "id": f"n{number}", "user": "ada", "cost_usd": 0.001}).encode()
        for number in range(50)
    ]
    nasty = {
        "user": EVIL,
        "session": EVIL,
        "key": EVIL,
        "prompt_name": EVIL,
        "trace_id": EVIL,
        "cost_usd": 0.5,
    }
    found += [json.dumps({**call, **nasty, "id": f"e{number}"}).encode() for number in range(4)]
    for file in sorted(file for file in RECORDINGS.rglob("*") if file.is_file()):
        data = file.read_bytes()
        for text, canary in SAID.items():
            data = data.replace(text, canary)
        if file.suffix in {".json", ".pb"}:
            found.append(data)
    litellm = json.loads((RECORDINGS / "litellm_payload_failure.json").read_bytes())
    litellm["error_information"] = {
        "error_class": "BadRequestError", "error_message": CANARY, "traceback": CANARY, "error_code": "400",
    }  # fmt: skip
    litellm |= {"litellm_call_id": "failed", "error_str": CANARY, "messages": [{"content": CANARY}]}
    found += [json.dumps(litellm).encode(), json.dumps({**litellm, "endTime": CANARY}).encode()]
    wrong: list[dict[str, Any]] = [
        {"input_tokens": CANARY}, {"ts": CANARY}, {"operation": CANARY}, {"status": CANARY}, {"tags": [CANARY]},
        {"scores": {CANARY: CANARY}}, {"tags": {CANARY: 5}}, {"user": CANARY * 50}, {"schema_version": 7},
        {"input_text": {CANARY: CANARY}}, {"embedding": {"model": CANARY, "vector": CANARY}},
        {"guardrails": [{"name": CANARY, "verdict": CANARY}]}, {"ts": 1}, {"ts": "2099-01-01T00:00:00Z"},
        {"input_text": CANARY * 60_000}, {CANARY: 1, "model": None},
    ]  # fmt: skip
    found += [json.dumps({**call, "id": f"w{number}", **one}).encode() for number, one in enumerate(wrong)]
    found += [
        CANARY.encode() + b"\xff", b"{" + CANARY.encode(), json.dumps({"messages": CANARY}).encode(),
        json.dumps({"resourceSpans": CANARY}).encode(), json.dumps({"resourceSpans": [{CANARY: CANARY}]}).encode(),
        f'["{CANARY}"]'.encode(), f'[{{"id": "{CANARY}", "model": 5, "ts": 1}}]'.encode(),
    ]  # fmt: skip
    return found


@pytest.fixture
async def cluster(canaries: dict[str, str], tmp_path: Path) -> Any:
    made = Cluster(canaries["brokers"], canaries["topic_prefix"], tmp_path)
    made.values |= canaries
    async with made:
        yield made


async def publish(cluster: Cluster, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(**cluster.settings.client("test"), max_request_size=1 << 23)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(cluster.settings.topic("calls"), value, partition=0)
    finally:
        await producer.stop()


async def written(cluster: Cluster) -> dict[str, bytes]:
    """Topic → everything that lies on it but for the calls themselves."""
    names = [
        cluster.settings.topic(name)
        for name in ("calls.dlq", "partials", "vitals", "alerts", "incidents", "checkpoints")
    ]
    consumer = AIOKafkaConsumer(*names, **cluster.settings.client("test"), auto_offset_reset="earliest")
    await consumer.start()
    found = dict.fromkeys(names, b"")
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            consumer.seek(partition, 0)
            while await consumer.position(partition) < end:
                for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                    for record in batch:
                        shown = repr((record.key, record.value, record.headers))
                        found[partition.topic] += shown.encode()
    finally:
        await consumer.stop()
    return found


def in_influx(cluster: Cluster) -> bytes:
    """All that InfluxDB has, as it prints it."""
    settings = cluster.settings
    token = settings.influx_token
    assert settings.influx_url
    assert token
    script = f'from(bucket: "{settings.influx_bucket}") |> range(start: 2020-01-01T00:00:00Z)'
    with InfluxDBClient(
        settings.influx_url, token.get_secret_value(), org=settings.influx_org, timeout=60_000
    ) as reader:
        return b"".join(reader.query_api().query_raw(script).stream())


def pages(cluster: Cluster) -> bytes:
    found = b""
    for worker in cluster.workers:
        for page in ("livez", "readyz", "metrics"):
            with urllib.request.urlopen(f"{worker.url}/{page}", timeout=deadline(5)) as answer:
                found += answer.read()
    return found


def listening(pid: int) -> list[str]:
    """The addresses that a process listens on, as the kernel writes them."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(link.readlink().name)
        except OSError:
            continue  # it was closed meanwhile
    found = []
    for family in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]
        for local, _, state, *_, inode in (line.split()[1:10] for line in lines):
            if f"socket:[{inode}]" in sockets and (state == "0A" or family.startswith("udp")):
                found.append(local)
    return found


def texts(block: Any) -> Iterator[str]:
    """Every text in a message."""
    if isinstance(block, str):
        yield block
    elif isinstance(block, dict | list):
        for one in block.values() if isinstance(block, dict) else block:
            yield from texts(one)


@pytest.mark.kafka
@pytest.mark.influx
@pytest.mark.timeout(180)
async def test_the_whole_way(
    cluster: Cluster, canaries: dict[str, str], slack: FakeSlack, tmp_path: Path
) -> None:
    """Secrets in every setting, texts in every call: all of it works, and none of it shows."""
    sent = events(time.time_ns() // 1_000_000)
    workers = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
    await publish(cluster, sent)
    message = await slack.wait_for(lambda message: "UserSpends" in message.text, deadline(60))
    after = json.dumps({"id": "z", "ts": time.time_ns() // 1_000_000, "model": "gpt-5"}).encode()
    await publish(cluster, [after])
    everything = "SELECT 1 FROM llm_calls WHERE view = 'all' AND window = '10s' AND calls >= 54"
    await asyncio.to_thread(until, lambda: rows(canaries["sqlite"], everything), 60, cluster.logs)
    await asyncio.to_thread(until, lambda: b"llm_calls" in in_influx(cluster), 30, cluster.logs)
    refused = workers[0].metric("llmvitals_calls_dead_lettered_total")
    assert refused >= 20
    assert workers[0].metric("llmvitals_calls_in_total") > 74 + 5

    found = await written(cluster)
    assert found[cluster.settings.topic("calls.dlq")].count(b"llmvitals.err.code") == refused
    assert all(found.values())
    found["pages"] = await asyncio.to_thread(pages, cluster)
    found["influx"] = await asyncio.to_thread(in_influx, cluster)
    for words in ("config show", "config show --json", "doctor"):
        said = await asyncio.to_thread(commands.said, tmp_path, *words.split(), **canaries)
        assert said.code == 0, said.text
        found[words] = said.text.encode()
    assert b"(set, not shown)" in found["config show"]
    for worker in workers:
        assert set(listening(worker.process.pid)) == {f"0100007F:{int(worker.url.rpartition(':')[2]):04X}"}
        assert await asyncio.to_thread(worker.stop) == 0, worker.text()
        found[worker.stage] = worker.log.read_bytes()
        assert b"info" in found[worker.stage]
    found["sqlite"] = (tmp_path / "vitals.db").read_bytes()
    found["slack"] = repr([*slack.requests, *slack.messages]).encode()
    assert [name for name, data in found.items() if CANARY.lower() in data.decode("latin-1").lower()] == []

    marked = [text for said in slack.messages for text in texts([said.text, said.blocks])]
    assert any("&lt;!channel&gt; &lt;!here|x&gt; &lt;@U00000001&gt;" in text for text in marked)
    raw = [tag for text in marked for tag in re.findall(r"<[^>]*>", text)]
    assert {tag.split("^")[0] for tag in raw} <= {"<!date"}
    assert "\u202e" not in message.shown


@pytest.mark.parametrize("words", ["worker", "doctor", "topics plan", "publish -"])
def test_a_password_goes_over_no_open_network(tmp_path: Path, deaf: Deaf, words: str) -> None:
    said = commands.said(
        tmp_path, *words.split(), brokers=deaf.address, security_protocol="SASL_PLAINTEXT",
        sasl_username="llmvitals", sasl_password=PASSWORD,
    )  # fmt: skip
    assert (said.code, said.out) == (2, "")
    assert "SASL_PLAINTEXT sends the password unencrypted: use SASL_SSL, or set allow_plaintext" in said.err
    assert CANARY not in said.err
    assert not deaf.called()


@pytest.mark.parametrize(
    "settings",
    [
        {"influx_url": f"http://me:{CANARY}@localhost:8086"},
        {"slack_api_url": f"https://{CANARY}@slack.example/"},
        {"brokers": f"kafka://me:{CANARY}@localhost:9092"},
        {"security_protocol": "SASL_SSL", "sasl_password": CANARY},
        {"sasl_password": CANARY, "pane": "7s"},
        {"slack_token": CANARY, "views": CANARY},
    ],
)
def test_what_is_refused_is_not_quoted(tmp_path: Path, settings: dict[str, str]) -> None:
    said = commands.said(tmp_path, "config", "show", **settings)
    assert (said.code, said.out) == (2, "")
    assert CANARY not in said.err


@pytest.mark.kafka
def test_a_wrong_password_for_kafka(locked: str, tmp_path: Path) -> None:
    settings = {
        "brokers": locked, "security_protocol": "SASL_PLAINTEXT", "allow_plaintext": "true",
        "sasl_username": "llmvitals", "sasl_password": f"{CANARY}-wrong",
    }  # fmt: skip
    for words in ("topics plan", "doctor"):
        said = commands.said(tmp_path, *words.split(), **settings)
        assert said.code == 1
        assert "are LLMVITALS_SASL_USERNAME, _PASSWORD and _MECHANISM right" in said.text
        assert CANARY not in said.text
