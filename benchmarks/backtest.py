"""Calls a second of `llmvitals alerts backtest`: `python -m benchmarks.backtest [CALLS] [--topic]`.

The starter rules over two logs: a busy one (5,000 calls a second of event time) and a quiet one (5 a second,
so that nearly every call is alone in its series and pane). Beside them, in the same run, what others need for
the same lines: `json.loads` alone, and `llmvitals replay`, which has the same stages and stores points.
Rates are of the CPU time of all processes, and of the clock in brackets. --topic: from a Kafka of its own as
well, 4 partitions.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.combine import log

from llmvitals import topics
from llmvitals.backtest import run
from llmvitals.backtest.replay import replay_lines
from llmvitals.local.kafka import LocalKafka
from llmvitals.publisher.file import publish_lines
from llmvitals.runtime import logs
from llmvitals.runtime.kafka import past_calls
from llmvitals.settings import Settings

RULES = Path(__file__).parent.parent / "alerts"
SLOW = 100
"""So many times fewer calls are given to what is slow."""


def timed(name: str, calls: int, work: Callable[[], object]) -> float:
    """Print calls per second; gives those of CPU time."""
    gc.collect()
    gc.freeze()
    cpu, clock = cpu_time(), time.perf_counter()
    work()
    cpu, clock = cpu_time() - cpu, time.perf_counter() - clock
    print(f"  {name:34} {calls / cpu:>10,.0f} calls/s  ({calls / clock:,.0f} by the clock)", flush=True)
    return calls / cpu


def cpu_time() -> float:
    """The CPU time of this process and of those that it began and that have ended, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(title: str, lines: list[bytes], folder: Path, *, kafka: bool) -> None:
    """One log, by each of the ways."""
    print(f"{title}: {len(lines):,} calls, {sum(map(len, lines)) / len(lines):,.0f} bytes each")
    path = folder / "calls.jsonl"
    path.write_bytes(b"\n".join(lines))
    settings = Settings(alerts=RULES)
    few = lines[: max(len(lines) // SLOW, 1)]
    timed("json.loads alone", len(lines), lambda: [json.loads(line) and None for line in lines])
    timed("llmvitals replay", len(few), lambda: replay_lines(few, settings))

    def backtest() -> None:
        found = run.of_file(settings, str(path), [RULES], lambda *_: None)
        if found.calls["applied"] != len(lines):
            raise SystemExit(f"lost calls: {found.calls}")

    timed("backtest of the file", len(lines), backtest)
    if kafka:
        asyncio.run(of_topic(lines))


async def of_topic(lines: list[bytes]) -> None:
    """The same from four partitions of a broker on this machine."""
    with LocalKafka() as broker:
        settings = Settings(brokers=broker.address, alerts=RULES)
        await topics.apply(settings)
        await publish_lines(lines, settings, settings.topic("calls"))
        cpu, clock = cpu_time(), time.perf_counter()
        found = await past_calls.backtest(settings, "1d", [RULES], lambda *_: None)
        cpu, clock = cpu_time() - cpu, time.perf_counter() - clock
        if found.calls["in"] != len(lines):
            raise SystemExit(f"lost calls: {found.calls}")
        rates = f"{len(lines) / cpu:>10,.0f} calls/s  ({len(lines) / clock:,.0f} by the clock)"
        print(f"  {'backtest of the topic':34} {rates}", flush=True)


def main() -> None:
    """Both logs, at 200,000 calls each or as many as asked for."""
    words = sys.argv[1:]
    kafka = "--topic" in words
    count = int(next((word for word in words if word.isdigit()), "200000"))
    gc.set_threshold(100_000, 20, 20)
    logs.hush()
    with tempfile.TemporaryDirectory() as folder:
        for title, rate in (("5,000 calls a second", 5_000), ("5 calls a second", 5)):
            lines = [record.value or b"" for record in itertools.islice(log(count, rate, 5_000), None)]
            measure(title, lines, Path(folder), kafka=kafka)


if __name__ == "__main__":
    main()
