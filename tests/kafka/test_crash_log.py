"""What a process writes when it crashes: where and of what type, and nothing of what it was reading."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cluster import Cluster
from llmvitals.record.log import Topic
from waiting import deadline, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRETS = ("sk-planted-api-key", "planted prompt text", "xoxb-planted-slack-token")
RECORD = json.dumps(
    {"id": "x", "ts": 1_735_732_800_000, "api_key": SECRETS[0], "input_text": SECRETS[1], "token": SECRETS[2]}
).encode()
FORMATS = ["console", "json"]
TARGETS = {
    "combine": "llmvitals.combine.stage:Combine.pieces",
    "merge": "llmvitals.merge.stage:Merge.pieces",
    "score": "llmvitals.score.stage:Score.pieces",
    "sink": "llmvitals.store.sqlite.store:SqliteStore.take",
}
SABOTAGE = """
import importlib, os

def crash(self, *given):
    held = {"record": [bytes(record.value or b"").decode() for record in given[-1]]}
    text = held["record"][0]
    try:
        try:
            int(text)
        except ValueError as error:
            error.add_note(text)
            raise ExceptionGroup(text, [KeyError(text), error])
    except ExceptionGroup as error:
        raise RuntimeError(f"can't read {text}", held) from error

if "SABOTAGE" in os.environ:
    module, _, path = os.environ["SABOTAGE"].partition(":")
    name, method = path.split(".")
    setattr(getattr(importlib.import_module(module), name), method, crash)
"""


def planted(text: str) -> list[str]:
    """The secrets that are in it, however it was broken or escaped."""
    flat = "".join(text.split())
    return [secret for secret in SECRETS if "".join(secret.split()) in flat]


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    scorers = [{"scorer": "llmvitals.testing.scorer:FailingScorer"}]
    async with Cluster(
        kafka, topic_prefix, tmp_path, sqlite=tmp_path / "v.db", text="score", scorers=json.dumps(scorers),
        slack_token=SECRETS[2], slack_channel="#alerts", slack_api_url="http://127.0.0.1:9/",
    ) as made:  # fmt: skip
        yield made


@pytest.mark.kafka
@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("stage", TARGETS)
async def test_a_crashing_stage_writes_nothing_of_the_record(
    cluster: Cluster, tmp_path: Path, stage: str, log_format: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    reads = {"merge": Topic.PARTIALS, "sink": Topic.VITALS}.get(stage, "calls")
    await cluster.publish(cluster.settings.topic(reads), 0, [RECORD])
    worker = cluster.start(
        stage, PYTHONPATH=str(tmp_path), SABOTAGE=TARGETS[stage], LLMVITALS_LOG_FORMAT=log_format
    )
    assert await worker.ends(60) == 1, worker.text()
    text = worker.text()
    assert planted(text) == []
    lines = text.splitlines()
    if log_format == "json":
        entries = [json.loads(line) for line in lines]
        assert all(isinstance(entry["event"], str) for entry in entries)
        (text,) = [entry["exception"] for entry in entries if "exception" in entry]
        (said,) = [entry["event"] for entry in entries if "stops" in entry["event"]]
    else:
        (said,) = [line for line in lines if "stops" in line]
    assert f"{stage} stops: RuntimeError" in said
    assert text.count("in crash\n") == 4, text  # for each of the four exceptions once: nothing is told twice
    for kind in ("ValueError", "KeyError", "ExceptionGroup", "RuntimeError", "direct cause"):
        assert kind in text
    assert "held = {" not in text
    assert len("\n".join(lines)) < 12_000


@pytest.mark.kafka
@pytest.mark.parametrize("log_format", FORMATS)
async def test_a_clear_error_is_a_few_lines(cluster: Cluster, log_format: str) -> None:
    """An offset is committed, and the checkpoint that belongs to it is gone."""
    calls = cluster.settings.topic("calls")
    await cluster.publish(calls, 0, [RECORD])
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.settings.brokers, group_id=f"{cluster.settings.group}-combine"
    )
    await consumer.start()
    consumer.assign([TopicPartition(calls, 0)])
    await consumer.commit({TopicPartition(calls, 0): 1})
    await consumer.stop()
    worker = cluster.start("combine", LLMVITALS_LOG_FORMAT=log_format)
    assert await worker.ends(60) == 1, worker.text()
    text = worker.text()
    assert "combine stops: " in text
    assert "LLMVITALS_GROUP" in text
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 4, text


@pytest.mark.kafka
async def test_signals_that_show_variables_in_faust_do_not(cluster: Cluster) -> None:
    worker = cluster.start("combine")
    await worker.ready()
    for times, number in enumerate((signal.SIGUSR1, signal.SIGUSR2), 1):
        worker.signal(number)
        shown = worker.text
        await asyncio.to_thread(until, lambda: shown().count("Current thread") >= times, 30, shown)  # noqa: B023
    assert await asyncio.to_thread(worker.stop) == 0
    assert "LOCAL VARIABLES" not in worker.text()
    assert planted(worker.text()) == []


WAYS = {
    "uncaught": "raise ValueError(text)",
    "thread": "import threading; t = threading.Thread(target=int, args=(text,)); t.start(); t.join()",
    "finalizer": "class A:\n  def __del__(self): raise ValueError(text)\nA()",
    "task": "async def main():\n  asyncio.ensure_future(fail(text)); await asyncio.sleep(0.01)\nasyncio.run(main()); import gc; gc.collect()",
    "callback": "async def main():\n  asyncio.get_running_loop().call_soon(int, text); await asyncio.sleep(0.01)\nasyncio.run(main())",
    "stdlib": "try: int(text)\nexcept ValueError: logging.getLogger('x').exception('it failed')",
    "argument": "logging.getLogger('x').error('it failed: %r %s', ValueError(text), {'a': [KeyError(text)]})",
    "faust": "logging.getLogger('mode.services').error('Crashed reason=%r', ValueError(text), exc_info=ValueError(text))",
    "structlog": "try: int(text)\nexcept ValueError as error: structlog.get_logger().error('it failed', exc_info=True, error=error, held=Held(text))",
    "formatting": "logging.getLogger('x').error('%d', text)",
    "warning": "import warnings; warnings.warn('input_value=' + text)",
    "pydantic": "import pydantic\nclass A(pydantic.BaseModel):\n  a: int\nA(a=text)",
    "group": "raise ExceptionGroup(text, [ValueError(text), OSError(text), FileNotFoundError(2, text, text)])",
    "extra": "logging.getLogger('x').error('it failed', extra={'held': Held(text)}, stack_info=True)",
}  # fmt: skip
PROGRAM = """
import asyncio, logging, os, sys, structlog
from llmvitals.runtime import logs
from llmvitals.settings import Settings
text = os.environ["PLANTED"]
class Held:
    def __init__(self, text): self.text = text
    def __repr__(self): return self.text
async def fail(text): raise ValueError(text)
logs.configure(Settings(log_format=sys.argv[1]))
exec(sys.argv[2])
"""


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_the_log_brings_a_value_of_an_error(way: str, log_format: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format, WAYS[way]],
        capture_output=True, text=True, timeout=deadline(60), check=False, cwd=tmp_path, env={"PLANTED": RECORD.decode()},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert said
    assert planted(said) == []
    if log_format == "json" and way != "formatting":
        assert all(isinstance(json.loads(line), dict) for line in said.splitlines())


def test_a_command_that_crashes_shows_no_value(tmp_path: Path) -> None:
    program = (
        "import sys; from llmvitals import cli, topics\n"
        "def broken(*_): raise ValueError('planted prompt ' + 'text')\n"
        "topics.load = broken; sys.argv = ['llmvitals', 'topics', 'check']; cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert planted(done.stderr) == []
    assert "ValueError (its text is not shown" in done.stderr
    assert "please report it" in done.stderr


def test_what_a_reader_can_use_is_shown(tmp_path: Path) -> None:
    program = (
        "import logging, sys; from llmvitals.runtime import logs; from llmvitals.errors import ConfigError\n"
        "from llmvitals.settings import Settings; logs.configure(Settings())\n"
        "say = logging.getLogger('x').error\n"
        "say('%s | %s', ConfigError('set pane'), PermissionError(13, 'secret'))\n"
        "say('%.1f %d %s', 1.25, 7, {'a': (1, 'b')})\n"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=True,
        cwd=tmp_path,
    )
    assert "set pane | PermissionError: Permission denied" in done.stderr
    assert "1.2 7 {'a': [1, 'b']}" in done.stderr
