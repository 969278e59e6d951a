"""A worker that is told to stop ends with 0, whenever it is told, and leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from mode.utils.locks import Event

import commands
from cluster import Cluster
from llmvitals.runtime.kafka.thread import Thread
from waiting import deadline, until

DELAYS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0, 2.4, 2.8, 3.3, 4.0, 5.0, 7.0)
"""Seconds after it listens: imports, rules and prices, Kafka, the group, the first fetches."""


def listens(process: subprocess.Popen[str]) -> bool:
    """Whether SIGTERM has a handler; Python's own start comes before, and can't be covered."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def marked(mark: str) -> list[int]:
    """Processes in whose environment this stands, dead ones left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            there = mark.encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if there:
            found.append(int(folder.name))
    return found


@pytest.fixture
async def cluster(kafka: str, topic_prefix: str, tmp_path: Path) -> Cluster:
    made = Cluster(kafka, topic_prefix, tmp_path, sqlite=tmp_path / "vitals.db", session_timeout="6s")
    await made.apply_topics()
    return made


def stopped(cluster: Cluster, words: list[str], delay: float, signals: int = 1) -> None:
    process = commands.start(
        cluster.folder, "worker", *words, **{name: str(value) for name, value in cluster.values.items()},
        health_port="0",
    )  # fmt: skip
    mark = f"LLMVITALS_GROUP={cluster.values['group']}"
    try:
        until(lambda: process.poll() is not None or listens(process), 60)
        time.sleep(delay)  # no wait for a fact: any moment is as good
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
        said = commands.end(process, 60)
        assert said.code == 0, f"after {delay} s: {said.code}\n{said.err}"
        until(lambda: not marked(mark), 20, "no process is left")
    finally:
        process.kill()
        for left in marked(mark):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


@pytest.mark.kafka
@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("words", "delays"),
    [([], DELAYS[::2]), (["--stage", "combine"], DELAYS[::2]), (["--stage", "sink"], DELAYS[1::2])],
    ids=["all", "combine", "sink"],
)
async def test_told_at_any_time_it_ends_with_0(
    cluster: Cluster, words: list[str], delays: tuple[float, ...]
) -> None:
    for delay in delays:
        stopped(cluster, words, delay)
    stopped(cluster, words, 2.6, signals=3)


@pytest.mark.parametrize("delay", [0.0, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("words", [[], ["--stage", "combine"]], ids=["all", "combine"])
def test_it_ends_with_0_while_it_waits_for_kafka(
    tmp_path: Path, deaf: commands.Deaf, topic_prefix: str, words: list[str], delay: float
) -> None:
    for brokers in (deaf.address, "127.0.0.1:9"):
        stopped(Cluster(brokers, topic_prefix, tmp_path), words, delay)


def test_it_listens_before_anything_is_imported() -> None:
    program = (
        "import signal, sys; sys.argv[1:] = ['worker']; import llmvitals.entry as entry\n"
        "class Imports:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.startswith('llmvitals'), name\n"
        "        raise SystemExit(7 if signal.getsignal(signal.SIGTERM) is entry._end else 8)\n"
        "sys.meta_path.insert(0, Imports()); entry.main()"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=deadline(30)).returncode == 7


def test_a_child_that_dies_of_it_before_it_listens_is_no_failure(tmp_path: Path) -> None:
    child = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    program = (
        "import sys; from llmvitals.settings import Settings; from llmvitals.runtime.supervise import supervise\n"
        "sys.exit(supervise(['a', 'b'], Settings(), [sys.executable, '-c', sys.argv[1]]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, child], cwd=tmp_path)
    until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), 30)
    process.terminate()
    assert process.wait(deadline(30)) == 0


def test_a_consumer_thread_that_ended_by_itself_can_still_be_stopped():
    """Its loop is closed by then: the log of a crash has no second traceback about that."""
    thread = object.__new__(Thread)
    thread._stopped = Event()
    thread.thread_loop = asyncio.new_event_loop()
    thread.thread_loop.close()
    thread._stopped_set()
