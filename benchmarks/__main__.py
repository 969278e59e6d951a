"""Throughput on the real broker, beside its peers, in one run: `python -m benchmarks [--json FILE] [--calls N]`.

All read the same topic of native calls of some 20 fields: bare aiokafka; with json.loads; stock Faust with an
empty agent; llmvitals' whole combine stage (validate, price, drop duplicates, 4 views, sketches, contributors)
and its merge stage, each one process, from its first record to its last by its own counters.
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
VIEWS = [
    {"name": "all", "contributors": True},
    {"name": "team", "by": ["team"], "contributors": True},
    {"name": "app", "by": ["app"], "contributors": True},
    {"name": "app_model", "by": ["app", "model"]},
]


def events(count: int) -> list[bytes]:
    """`count` calls, PER_SECOND of them in a second of event time, the last one now."""
    calls = list(company(0, 3_600_000_000))
    now = time.time_ns() // 1_000_000
    return [
        json.dumps(
            calls[n % len(calls)] | {"id": f"call-{n}", "ts": now - (count - n) * 1000 // PER_SECOND}
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
    records, seconds = done.stdout.split()
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


def stage(name: str, env: dict[str, str], port: int, counter: str, goal: int | None) -> tuple[float, float]:
    """(counted, seconds) of a worker from its first record until `goal`, or until it stands still for 3 s."""
    command = [sys.executable, "-m", "llmvitals", "worker", "--stage", name]
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
        finally:
            worker.terminate()
            worker.wait(30)
    if first is None:
        raise SystemExit(f"{name} read nothing")
    return last[1] - first[1], last[0] - first[0]


def measure(count: int) -> list[dict[str, Any]]:
    """All rows, in the order of the names."""
    with LocalKafka() as kafka, tempfile.TemporaryDirectory() as folder:
        settings = Settings(brokers=kafka.address, topic_prefix="bench", group="bench")
        asyncio.run(topics.apply(settings))
        topic = settings.topic("calls")
        asyncio.run(fill(kafka.address, topic, events(count)))
        rows = [
            {"name": name, "per_s": peer(name, kafka.address, topic, many)}
            for name, many in (("aiokafka", count), ("aiokafka+json", count), ("faust", count // 10))
        ]
        env = {k: v for k, v in os.environ.items() if not k.startswith("LLMVITALS_")} | {
            "LLMVITALS_BROKERS": kafka.address,
            "LLMVITALS_TOPIC_PREFIX": "bench",
            "LLMVITALS_GROUP": "bench",
            "LLMVITALS_HEALTH_PORT": str(PORT),
            "LLMVITALS_DEFAULT_VIEWS": "false",
            "LLMVITALS_VIEWS": json.dumps(VIEWS),
            "LLMVITALS_ALERTS": str(Path(folder) / "none"),
        }
        calls, seconds = stage("combine", env, PORT, "llmvitals_calls_in_total", count)
        rows.append({"name": "llmvitals-combine", "per_s": calls / seconds, "calls": calls})
        panes, seconds = stage("merge", env, PORT + 1, "llmvitals_entries_total", None)
        rows.append({"name": "llmvitals-merge", "per_s": panes / seconds, "unit": "series-panes/s"})
    return rows


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--calls", type=int, default=400_000)
    given = parser.parse_args()
    rows = measure(given.calls)
    faust = next(row["per_s"] for row in rows if row["name"] == "faust")
    table = Table("name", "per second", "× stock Faust", box=None)
    for row in rows:
        unit = row.get("unit", "calls/s")
        table.add_row(row["name"], f"{row['per_s']:,.0f} {unit}", f"{row['per_s'] / faust:,.1f}")
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
