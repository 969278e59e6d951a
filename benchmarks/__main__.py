"""Throughput on the real broker, beside its peers: `python -m benchmarks [--json FILE] [--calls N]`.

All read the same topic of native calls of some 20 fields: bare aiokafka; with json.loads; stock Faust with
an empty agent; llmvitals' whole combine stage (validate, price, drop duplicates, 4 views, sketches,
contributors) and its merge stage, each one process, from its first record to its last by its own counters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from llmvitals import topics
from llmvitals.local.kafka import LocalKafka
from llmvitals.local.traffic import company
from llmvitals.settings import Settings

PER_SECOND = 5_000
PORT = 19_464
PORTS = {"combine": 0, "merge": 1}
SERIES = 10_000
VIEWS: list[dict[str, Any]] = [
    {"name": "all", "contributors": True},
    {"name": "team", "by": ["team"], "contributors": True},
    {"name": "app", "by": ["app"], "contributors": True},
    {"name": "app_model", "by": ["app", "model"]},
]


def events(count: int, users: int) -> list[bytes]:
    """`count` calls of so many users, PER_SECOND of them in a second of event time, the last one now."""
    calls = list(company(0, 3_600_000_000))
    now = time.time_ns() // 1_000_000
    return [
        json.dumps(
            calls[n % len(calls)]
            | {"id": f"call-{n}", "ts": now - (count - n) * 1000 // PER_SECOND, "user": f"u-{n % users}"}
        ).encode()
        for n in range(count)
    ]


async def fill(brokers: str, topic: str, values: list[bytes]) -> None:
    """Put them on four partitions at random, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=20, max_batch_size=262_144)
    await producer.start()
    dice = random.Random(1)
    last = None
    for value in values:
        last = await producer.send(topic, value, partition=dice.randrange(4))
    await producer.stop()
    if last is not None:
        await last


def peer(name: str, brokers: str, topic: str, count: int) -> float:
    """Records a second of a peer, by its own clock."""
    command = [sys.executable, "-m", "benchmarks.peers", name, brokers, topic, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    records, seconds = next(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("read "))
    return int(records) / float(seconds)


def metric(port: int, name: str) -> float:
    """A counter of a worker, over its labels."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    families = text_string_to_metric_families(text)
    return sum(s.value for family in families for s in family.samples if s.name == name)


@dataclass(slots=True)
class Run:
    """What a stage did: records counted, seconds, its memory at the end in MB."""

    counted: float
    seconds: float
    memory: float


def stage(name: str, env: dict[str, str], counter: str, goal: int | None = None) -> Run:
    """Run a worker from its first record until `goal`, or until it stands still for 3 s."""
    command = [sys.executable, "-m", "llmvitals", "worker", "--stage", name]
    port = PORT + PORTS[name]
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            first: tuple[float, float] | None = None
            last = (time.perf_counter(), 0.0)
            while goal is None or last[1] < goal:
                seen, now = metric(port, counter), time.perf_counter()
                if seen and first is None:
                    first = (now, seen)
                if seen > last[1]:
                    last = (now, seen)
                elif now - last[0] > (3 if first and goal is None else 60):
                    break
                if worker.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode()[-3000:])
                time.sleep(0.05)
            memory = metric(port, "llmvitals_process_resident_memory_bytes") / 1e6
        finally:
            worker.terminate()
            worker.wait(30)
    if first is None:
        raise SystemExit(f"{name} read nothing")
    return Run(last[1] - first[1], last[0] - first[0], memory)


def measure(count: int) -> list[dict[str, Any]]:
    """All rows, in the order of the names."""
    with LocalKafka() as kafka:
        env = prepared(kafka.address, "bench", events(count, 40), VIEWS)
        many = min(count, 200_000)
        wide = prepared(kafka.address, "wide", events(many, SERIES), [{"name": "user", "by": ["user"]}])
        rows: list[dict[str, Any]] = [
            {"name": name, "per_s": peer(name, kafka.address, "bench.calls.v1", records)}
            for name, records in (("aiokafka", count), ("aiokafka+json", count), ("faust", count // 10))
        ]
        ran = stage("combine", env, "llmvitals_calls_in_total", count)
        rows.append({"name": "llmvitals-combine", "per_s": ran.counted / ran.seconds, "mb": ran.memory})
        ran = stage("combine", wide, "llmvitals_calls_in_total", many)
        rows.append({"name": "llmvitals-combine-10k", "per_s": ran.counted / ran.seconds, "mb": ran.memory})
        ran = stage("merge", wide, "llmvitals_entries_total")
        rows.append({"name": "llmvitals-merge", "per_s": ran.counted / ran.seconds, "mb": ran.memory})
    return rows


def prepared(brokers: str, prefix: str, calls: list[bytes], views: list[dict[str, Any]]) -> dict[str, str]:
    """Topics with these calls, and the environment of a worker on them."""
    settings = Settings(brokers=brokers, topic_prefix=prefix, group=prefix)
    asyncio.run(topics.apply(settings))
    asyncio.run(fill(brokers, settings.topic("calls"), calls))
    ours = {
        "BROKERS": brokers, "TOPIC_PREFIX": prefix, "GROUP": prefix, "HEALTH_PORT": str(PORT),
        "DEFAULT_VIEWS": "false", "VIEWS": json.dumps(views), "ALERTS": "no-rules",
    }  # fmt: skip
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LLMVITALS_")}
    return inherited | {f"LLMVITALS_{name}": value for name, value in ours.items()}


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--calls", type=int, default=400_000)
    given = parser.parse_args()
    rows = measure(given.calls)
    faust = next(row["per_s"] for row in rows if row["name"] == "faust")
    table = Table(box=None)
    for name in ("name", "per second", "× stock Faust", "MB"):
        table.add_column(name, justify="left" if name == "name" else "right")
    for row in rows:
        memory = f"{row['mb']:,.0f}" if "mb" in row else ""
        table.add_row(row["name"], f"{row['per_s']:,.0f}", f"{row['per_s'] / faust:,.1f}", memory)
    Console().print(table)
    Console().print(
        f"per second: calls; of llmvitals-merge panes of series ({SERIES:,} series from 4 partitions). "
        "-10k: one view with 10,000 series."
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
