"""Whatever is wrong is said in a line that tells what to do, and costs nothing beside it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import commands
from cluster import Cluster, rows
from exact import compare, in_influx, stored
from hostile import MARK, Hostile, corpus
from llmvitals.backtest.replay import Replay
from llmvitals.errors import Code
from llmvitals.local.service import free_ports
from llmvitals.local.traffic import company
from llmvitals.record.log import Logged
from llmvitals.testing import FakeSlack
from llmvitals.topics.declared import shipped
from oracle import FIELDS, VIEWS, WINDOWS, Logs, nano
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from commands import Deaf
    from llmvitals.local.influx import InfluxBucket

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
START = time.time_ns() // 1_000 // DAY * DAY - 14 * 60 * MINUTE
"""Ten in the morning of yesterday, which no window reaches over."""
TYPO = """\
groups:
- name: money
  rules:
  - alert: Money
    budget: {metric: cost, limt: 0.01, per: day}
"""
RULE = TYPO.replace("limt", "limit")
SEED = int(os.environ.get("LLMVITALS_TEST_SEED", "1"))


def rules(folder: Path, text: str) -> str:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "money.yaml").write_text(text)
    return str(folder / "rules")


# Wrong settings and wrong use


@pytest.mark.parametrize(
    "words", ["worker", "worker --stage combine", "worker --stage merge", "replay events.jsonl"]
)
def test_a_typo_in_a_rule(tmp_path: Path, deaf: Deaf, words: str) -> None:
    (tmp_path / "events.jsonl").touch()
    said = commands.said(tmp_path, *words.split(), brokers=deaf.address, alerts=rules(tmp_path, TYPO))
    assert said.code == 2
    file = tmp_path / "rules" / "money.yaml"
    assert said.err.splitlines()[-1] == f"{file}:5:28: unknown key 'limt': did you mean limit?"
    assert "Starting" not in said.err
    assert "health pages" not in said.err
    assert not deaf.called()


def test_a_typo_in_a_rule_does_not_keep_the_doctor_from_the_rest(tmp_path: Path) -> None:
    said = commands.said(
        tmp_path, "doctor", brokers="127.0.0.1:9", alerts=rules(tmp_path, TYPO), sqlite="vitals.db"
    )
    assert said.code == 1
    assert "money.yaml:5:28: unknown key 'limt': did you mean limit?" in said.text
    assert "vitals.db will be made by the worker" in said.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--set slack_chanel=a worker", "LLMVITALS_SLACK_CHANEL: did you mean LLMVITALS_SLACK_CHANNEL?"),
        (
            "--config own.toml worker",
            "max_serie in own.toml: there is no such setting: did you mean max_series?",
        ),
        ("--config no.toml worker", "no.toml is not there"),
        ("--set slack_channel worker", "write NAME=VALUE"),
        ("--set pane=7s worker", "pane 7s has to divide a minute into whole seconds, such as 10s"),
        ("--set slack_token=xoxb-1 worker", "slack_token needs slack_channel"),
        ("--set idle=soon worker", "idle: 'soon' is no duration: write a number and ms, s, m, h, d or w"),
        ("--set brokers=kafka:nine worker", "brokers: write host:port"),
        ("--set influx_url=nowhere worker", "influx_url is no address: say where InfluxDB is"),
        ("--set prices=none.toml worker", "none.toml: No such file"),
        (f"--set views={'[' * 20_000} worker", "nested too deeply to be read"),
        ("--set views=nonsense worker", "lists and tables are written as JSON"),
        ("frobnicate", "No such command 'frobnicate'"),
        ("worker --stage nothing", "'nothing' is not one of"),
        ("schema nothing", "'nothing' is not one of"),
        ("publish", "Missing argument 'FILE'"),
        ("publish nothing.jsonl", "nothing.jsonl is no file; write - to read standard input"),
        ("replay nothing.jsonl", "nothing.jsonl is no file; write - to read standard input"),
        ("query --metric cots", "'cots' is no metric: did you mean cost"),
        ("query --where team", "write DIMENSION=VALUE"),
        ("query --since soon", "'soon' is no time: write how long ago, such as 24h"),
        ("query", "set LLMVITALS_SQLITE or LLMVITALS_INFLUX_URL"),
    ],
)
def test_wrong_use(tmp_path: Path, words: str, told: str) -> None:
    (tmp_path / "own.toml").write_text("max_serie = 3\n")
    said = commands.said(tmp_path, *words.split(), brokers="127.0.0.1:9")
    assert (said.code, said.out) == (2, "")
    assert told in said.text


def test_what_needs_nothing_works_without_anything(tmp_path: Path) -> None:
    assert json.loads(commands.said(tmp_path, "schema").out)["title"] == "LLM call"
    assert commands.said(tmp_path, "topics", "check").code == 0
    assert commands.said(tmp_path, "config", "show").code == 0


# Kafka is not there, or has not what is needed

ASKING = ["publish events.jsonl", "topics plan", "topics apply -y", "doctor"]


def test_kafka_is_down(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"id": "a"}\n')
    for words in ASKING:
        said = commands.said(tmp_path, *words.split(), brokers="127.0.0.1:9")
        assert said.code == 1, said.text
        assert "Kafka at 127.0.0.1:9 can't be reached: " in said.text
        assert "is LLMVITALS_BROKERS its address" in said.text


def test_kafka_does_not_answer(tmp_path: Path, deaf: Deaf) -> None:
    """Every command gives up by itself."""
    (tmp_path / "events.jsonl").write_text('{"id": "a"}\n')
    started = [commands.start(tmp_path, *words.split(), brokers=deaf.address) for words in ASKING]
    for process in started:
        said = commands.end(process)
        assert said.code == 1, said.text
        assert f"Kafka at {deaf.address} can't be reached: " in said.text


@asynccontextmanager
async def forwarder(port: int, target: str) -> AsyncIterator[None]:
    """The port leads to the target from now on."""
    host, there = target.split(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(host, int(there))
        await asyncio.gather(pass_on(reader, forth), pass_on(back, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@pytest.mark.kafka
async def test_a_worker_waits_for_kafka_and_starts_when_it_is_up(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    async with Cluster(kafka, topic_prefix, tmp_path) as cluster:
        worker = cluster.start("combine", LLMVITALS_BROKERS=f"127.0.0.1:{port}")

        def told() -> str:
            reasons = worker.reasons()
            return reasons if "Kafka" in reasons else ""

        reasons = await asyncio.to_thread(until, told, 60, worker.text)
        assert f"Kafka at 127.0.0.1:{port} can't be reached: there is no connection. Is it up" in reasons
        assert "Trying again in 1 s." in worker.text()
        assert "Traceback" not in worker.text()
        async with forwarder(port, kafka):
            await worker.ready(30)
            assert await asyncio.to_thread(worker.stop) == 0, worker.text()


@pytest.mark.kafka
def test_topics_that_are_not_there_and_then_are(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"id": "a"}\n')
    settings = {"brokers": kafka, "topic_prefix": topic_prefix, "group": topic_prefix, "health_port": "0"}
    for words in ("worker", "publish events.jsonl", "doctor"):
        said = commands.said(tmp_path, *words.split(), **settings)
        assert said.code == 1, said.text
        # Of three processes, the first that looks tells what it misses; only combine misses the calls.
        named = f"has no topic {topic_prefix}." if words == "worker" else f"{topic_prefix}.calls.v1"
        assert named in said.text
        assert "llmvitals topics apply" in said.text
    assert (
        f"+ {topic_prefix}.calls.v1: 4 partitions"
        in commands.said(tmp_path, "topics", "plan", **settings).out
    )
    assert commands.said(tmp_path, "topics", "apply", "--yes", **settings).code == 0
    assert (
        f"all {len(list(shipped().glob('*.yaml')))} at" in commands.said(tmp_path, "doctor", **settings).text
    )
    assert commands.said(tmp_path, "publish", "events.jsonl", **settings).code == 0
    said = commands.said(tmp_path, "doctor", **settings, inputs='["elsewhere"]')
    assert said.code == 1
    assert "has no topic elsewhere" in said.text


@pytest.mark.kafka
async def test_a_line_too_large_for_the_topic_costs_no_other(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    cluster = Cluster(kafka, topic_prefix, tmp_path)
    await cluster.apply_topics()
    lines = [json.dumps({"id": f"c{number}", "session": f"s{number}"}).encode() for number in range(50)]
    lines[7] = b'{"id": "large", "input_text": "%s"}' % (b"x" * 10_000_000)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines))
    said = await asyncio.to_thread(
        commands.said, tmp_path, "publish", "events.jsonl", brokers=kafka, topic_prefix=topic_prefix
    )
    assert said.code == 1
    assert (
        f"Kafka did not take 1 of the lines for {topic_prefix}.calls.v1; all the others are there."
        in said.err
    )
    assert "line 8: it is too large: leave texts out, or raise max.message.bytes of the topic" in said.err
    there = {record.value for record in await cluster.read(cluster.settings.topic("calls"))}
    assert there == {line for line in lines if len(line) < 1_000}


# Records that mean harm


class Mixed:
    """Four partitions of good calls, with hostile payloads between them; and what must come of them.

    sums: of the good calls, and of the hostile ones that are calls, by view, window, start and dimensions;
    those have the dimensions ("hostile",), but in the view of everything. refused: place → payload.
    """

    def __init__(self, seed: int, hostile: int) -> None:
        dice = random.Random(seed)
        self.logs: dict[int, list[bytes | None]] = defaultdict(list)
        self.sums: dict[tuple[str, str, int, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
        self.refused: dict[tuple[int, int], Hostile] = {}
        good = list(company(START, 10 * MINUTE, seed))
        foes = list(corpus(seed, hostile, good[0]["ts"] + 1_000))
        each = len(foes) / len(good)
        for number, call in enumerate(good):
            partition = dice.randrange(4)
            for foe in foes[int(number * each) : int((number + 1) * each)]:
                self._add(partition, foe, call["ts"])
            self.logs[partition].append(json.dumps(call).encode())
            self._count(call, {name: call.get(name, "") for by in VIEWS.values() for name in by})
        for partition in range(4):
            large = b'{"id": "large", "ts": 1, "input_text": "%s"}' % (MARK.encode() * 650_000)
            assert len(large) > 9_500_000
            self._add(partition, Hostile("10 MB", large, frozenset({"too_large"})), 0)
            last = {**good[-1], "id": f"end-{partition}", "ts": good[-1]["ts"] + 180_000, "app": "end"}
            self.logs[partition].append(json.dumps(last).encode())
        self.calls = sum(fields["calls"] for key, fields in self.sums.items() if key[:2] == ("all", "1d"))

    def _add(self, partition: int, foe: Hostile, ts: int) -> None:
        if foe.codes:
            self.refused[partition, len(self.logs[partition])] = foe
            self.logs[partition].append(foe.value)
            return
        call = {**(foe.call or {}), "ts": ts}
        self.logs[partition].append(json.dumps(call).encode())
        self._count(call, None)

    def _count(self, call: dict[str, Any], dims: dict[str, str] | None) -> None:
        cost = nano(call) if dims else None
        free = call.get("status") == "error" and "input_tokens" not in call and "output_tokens" not in call
        fields = Counter(
            calls=1, errors=int(call.get("status") == "error"), unpriced_calls=int(cost is None and not free),
            unknown_usage_calls=int("input_tokens" not in call), input_tokens=call.get("input_tokens", 0),
            cached_tokens=call.get("cached_tokens", 0), output_tokens=call.get("output_tokens", 0),
            cost_nano=cost or 0,
        )  # fmt: skip
        for view, by in VIEWS.items():
            for window, length in WINDOWS.items():
                at = call["ts"] * 1000
                series = tuple(dims[name] if dims else "hostile" for name in by)
                self.sums[view, window, at - at % length, series].update(fields)

    def expected(self) -> dict[Any, dict[str, int]]:
        return {key: {name: sums[name] for name in FIELDS} for key, sums in self.sums.items()}


def gathered(cluster: Cluster, mixed: Mixed) -> dict[Any, dict[str, int]]:
    """What the store has, all series that no good call belongs to added up."""
    found: dict[Any, Counter[str]] = defaultdict(Counter)
    for (view, window, start, series), fields in stored(cluster).items():
        known = (view, window, start, series) in mixed.sums
        found[view, window, start, series if known else ("hostile",) * len(series)].update(fields)
    return {key: {name: sums[name] for name in FIELDS} for key, sums in found.items()}


async def publish(brokers: str, topic: str, logs: dict[int, list[bytes | None]]) -> None:
    """Partition by partition; what is large too, and tombstones."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=5, max_request_size=1 << 25)
    try:
        await producer.start()
        for partition, log in logs.items():
            sent = [await producer.send(topic, value, key=b"k", partition=partition) for value in log]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def take_large(cluster: Cluster) -> None:
    """The topic of calls takes messages of 12 MB."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.values["brokers"])
    await admin.start()
    try:
        settings = {"max.message.bytes": "12000000", "message.timestamp.type": "LogAppendTime"}
        name = cluster.settings.topic("calls")
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, settings)])
    finally:
        await admin.close()


async def check_letters(cluster: Cluster, refused: dict[tuple[int, int], Hostile]) -> None:
    """Each refused record is in the dead-letter topic once, says why, and shows nothing of itself."""
    records = await cluster.read(cluster.settings.topic("calls.dlq"))
    found: dict[tuple[int, int], dict[str, str]] = {}
    for record in records:
        headers = {name.removeprefix("llmvitals.err."): value.decode() for name, value in record.headers}
        place = int(headers["partition"]), int(headers["offset"])
        assert place not in found, f"{place} twice"
        found[place] = headers
        payload = refused[place].value or b""
        assert json.loads(record.value) == {
            "sha256": hashlib.sha256(payload).hexdigest(), "size": len(payload),
        }  # fmt: skip
        assert MARK not in repr(record)
        assert 10 < len(headers["message"]) <= 256
        assert headers["topic"] == cluster.settings.topic("calls")
    assert found.keys() == refused.keys()
    wrong = {
        (foe.kind, found[place]["code"], str(foe.value)[:100])
        for place, foe in refused.items()
        if found[place]["code"] not in foe.codes
    }
    assert not wrong


@pytest.mark.kafka
@pytest.mark.parametrize("seed", [SEED])
async def test_a_thousand_hostile_payloads_and_10_mb(
    kafka: str, topic_prefix: str, tmp_path: Path, seed: int
) -> None:
    mixed = Mixed(seed, 1_000)
    # No silence is so long that what comes after the last call is closed, too: not on a busy machine either.
    async with Cluster(kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", idle="1h") as cluster:
        await take_large(cluster)
        topic = cluster.settings.topic("calls")
        combine, *_ = [cluster.start(stage) for stage in ("combine", "merge", "sink")]
        await publish(kafka, topic, mixed.logs)
        with suppress(AssertionError):
            await asyncio.to_thread(
                until, lambda: gathered(cluster, mixed) == mixed.expected(), 60, every=0.25
            )
        found, expected = gathered(cluster, mixed), mixed.expected()
        wrong = {key: (found.get(key), want) for key, want in expected.items() if found.get(key) != want}
        assert not wrong, f"{len(wrong)} differ, as {next(iter(wrong.items()))}\n{cluster.logs()}"
        assert found.keys() == expected.keys()
        await check_letters(cluster, mixed.refused)

        # Nothing but poison.
        poison = [foe for foe in corpus(seed + 1, 600, START // 1_000) if foe.codes]
        lengths = {partition: len(log) for partition, log in mixed.logs.items()}
        more: dict[int, list[bytes | None]] = defaultdict(list)
        for number, foe in enumerate(poison):
            mixed.refused[number % 4, lengths[number % 4] + len(more[number % 4])] = foe
            more[number % 4].append(foe.value)
        await publish(kafka, topic, more)
        count = "llmvitals_calls_dead_lettered_total"
        await asyncio.to_thread(until, lambda: combine.metric(count) >= len(mixed.refused), 30, cluster.logs)
        await asyncio.to_thread(until, lambda: combine.metric("llmvitals_lag") == 0, 30)
        await check_letters(cluster, mixed.refused)
        assert combine.metric(count) == len(mixed.refused)
        by_code = {str(code): combine.metric("llmvitals_dead_letters_total", code=str(code)) for code in Code}
        assert sum(by_code.values()) == len(mixed.refused)
        assert combine.metric("llmvitals_calls_in_total") == len(mixed.refused) + mixed.calls + 4
        assert [worker.reasons() for worker in cluster.workers] == ["", "", ""]
        assert [worker.process.poll() for worker in cluster.workers] == [None, None, None]
        for worker in reversed(cluster.workers):
            assert "Traceback" not in worker.text()
            assert MARK not in worker.text()
            assert await asyncio.to_thread(worker.stop) == 0, worker.text()


def test_a_replay_of_hostile_lines(tmp_path: Path) -> None:
    foes = [foe for foe in corpus(SEED, 400, START // 1_000) if foe.value and b"\n" not in foe.value]
    foes = [foe for foe in foes if foe.value and foe.value.strip()]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(foe.value or b"" for foe in foes))
    said = commands.said(tmp_path, "replay", "events.jsonl", "--json")
    assert said.code == 0, said.err
    outcome = json.loads(said.out)
    assert outcome["in"] == len(foes)
    assert outcome["dead_lettered"] == sum(bool(foe.codes) for foe in foes)
    assert outcome["applied"] == outcome["totals"]["calls"] == sum(not foe.codes for foe in foes)
    assert commands.said(tmp_path, "replay", "events.jsonl").code == 0


# The ends of the way: stores and Slack


async def put_points(cluster: Cluster, logs: Logs) -> None:
    """What combine and merge make of the calls, on the topics that sinks read."""
    stages = Replay.of(cluster.settings)
    now = time.time_ns() // 1_000_000
    out = stages.feed([Logged(offset, now, value) for offset, value in enumerate(logs.records[0])])
    producer = AIOKafkaProducer(bootstrap_servers=cluster.values["brokers"], linger_ms=5)
    try:
        await producer.start()
        await asyncio.gather(*[
            await producer.send(cluster.settings.topic(message.topic), message.value, key=message.key)
            for message in out
            if message.topic in {"vitals", "alerts"}
        ])  # fmt: skip
    finally:
        await producer.stop()


@pytest.fixture
async def sinks(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    async with Cluster(
        kafka, topic_prefix, tmp_path, alerts=rules(tmp_path, RULE), max_alert_age="30d", stall="3s"
    ) as made:
        yield made


@pytest.mark.kafka
@pytest.mark.influx
async def test_wrong_tokens_hold_back_only_what_they_are_for(sinks: Cluster, influx: InfluxBucket) -> None:
    logs = Logs(START, 6 * MINUTE, partitions=1)
    await put_points(sinks, logs)
    async with FakeSlack() as slack:
        sinks.values |= {
            "influx_url": influx.url, "influx_token": "llmvitals:wr0ng-token", "influx_org": influx.org,
            "influx_bucket": influx.bucket, "slack_token": slack.token, "slack_api_url": slack.url,
            "slack_channel": "#alerts",
        }  # fmt: skip
        sink = sinks.start("sink")
        told = "401, the token is refused: check LLMVITALS_INFLUX_TOKEN"
        await asyncio.to_thread(until, lambda: told in sink.reasons(), 30, sink.text)
        await slack.wait_for(lambda message: "Money" in message.text)
        assert told in sink.text()
        settings = {name: str(value) for name, value in sinks.values.items()}
        for words in ("doctor", "query"):
            said = await asyncio.to_thread(commands.said, sinks.folder, *words.split(), **settings)
            assert said.code == 1
            assert told in said.text
            assert "wr0ng" not in said.text
        assert sink.process.poll() is None
        assert await asyncio.to_thread(sink.stop) == 0, sink.text()

        sinks.values |= {"influx_token": influx.token, "slack_token": "xoxb-wr0ng"}
        sink = sinks.start("sink")
        told = "Slack: invalid_auth: set LLMVITALS_SLACK_TOKEN to the bot token (xoxb-…) of an installed app"
        await asyncio.to_thread(until, lambda: told in sink.reasons(), 30, sink.text)
        assert told in sink.text()
        await asyncio.to_thread(until, lambda: in_influx(influx) == logs.expected(), 30)
        settings |= {"slack_token": "xoxb-wr0ng", "influx_token": influx.token}
        said = await asyncio.to_thread(commands.said, sinks.folder, "doctor", **settings)
        assert said.code == 1
        assert "invalid_auth: set LLMVITALS_SLACK_TOKEN" in said.text
        assert sink.process.poll() is None
        assert await asyncio.to_thread(sink.stop) == 0, sink.text()
        for worker in sinks.workers:
            assert "wr0ng" not in worker.text()
            assert "Traceback" not in worker.text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here, which takes root: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.kafka
async def test_a_full_disk_is_waited_out(sinks: Cluster, small_disk: Path) -> None:
    sinks.values["sqlite"] = small_disk / "vitals.db"
    await put_points(sinks, Logs(START - DAY, 3 * MINUTE, partitions=1, seed=2))
    sink = sinks.start("sink")
    await asyncio.to_thread(
        until, lambda: rows(small_disk / "vitals.db", "SELECT 1 FROM llm_calls"), 30, sink.text
    )
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 4_096)
    logs = Logs(START, 6 * MINUTE, partitions=1)
    await put_points(sinks, logs)
    told = (
        f"SQLite file {small_disk / 'vitals.db'}: the disk is full: free some space, or set LLMVITALS_SQLITE"
    )
    await asyncio.to_thread(until, lambda: told in sink.reasons(), 30, sink.text)
    assert told in sink.text()
    settings = {name: str(value) for name, value in sinks.values.items()}
    said = await asyncio.to_thread(commands.said, sinks.folder, "doctor", **settings)
    assert said.code == 1
    assert "0 MiB are free where" in said.text
    assert sink.process.poll() is None

    (small_disk / "filler").unlink()

    def today() -> dict[Any, dict[str, int]]:
        return {key: fields for key, fields in stored(sinks).items() if key[2] >= START // DAY * DAY}

    with suppress(AssertionError):
        await asyncio.to_thread(until, lambda: today() == logs.expected(), 40)
    compare(logs, today())
    await sink.ready(10)
    assert "Traceback" not in sink.text()
    assert await asyncio.to_thread(sink.stop) == 0, sink.text()
