"""10,000 live budgets, one for each user: what they cost, and how soon a breach is in Slack.

`python -m benchmarks.budgets [TRIES]`: a real broker, the three workers and the fake Slack. Every user calls
once, so that all budgets are alive; then calls of random users go on at RATE a second, and in between one
more user after the other passes the limit. The time is from Kafka's acknowledgement of the call to Slack's
receipt of the message. CPU, memory and the mean length of a flush are those of each process meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from aiokafka import AIOKafkaProducer
from benchmarks.__main__ import PORT, metric
from benchmarks.breach import bench, breaches, call, until, worker

from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack

BUDGETS = 10_000
RATE = 200
STAGES = ("combine", "merge", "sink")
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident MB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def flushes(port: int) -> tuple[float, float]:
    """Seconds that a worker has spent in flushes, and how many."""
    return metric(port, "llmvitals_flush_seconds_sum"), metric(port, "llmvitals_flush_seconds_count")


async def traffic(producer: AIOKafkaProducer, topic: str) -> None:
    """Small calls of random users, for ever."""
    dice, number = random.Random(5), BUDGETS
    while True:
        began = time.perf_counter()
        for _ in range(RATE // 10):
            number += 1
            await producer.send(topic, call(number, f"u-{dice.randrange(BUDGETS)}", 0.0001))
        await asyncio.sleep(max(0.0, 0.1 - (time.perf_counter() - began)))


async def measure(settings: Settings, env: dict[str, str], slack: FakeSlack, tries: int) -> None:
    """Everything, with the workers up."""
    topic = settings.topic("calls")
    producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
    await producer.start()
    with ExitStack() as stack:
        workers = {stage: stack.enter_context(worker(stage, env)) for stage in STAGES}
        for port in range(PORT, PORT + 3):
            await until(lambda port=port: metric(port, "llmvitals_ready") > 0, "the workers are ready")
        for number in range(BUDGETS):
            await producer.send(topic, call(number, f"u-{number}", 0.0001))
        await producer.flush()
        await until(
            lambda: metric(PORT + 1, "llmvitals_entries_total") >= BUDGETS, "merge has all budgets", 120
        )
        busy = asyncio.create_task(traffic(producer, topic))
        # The pane that all of them called in has to close, once: that is no everyday load.
        await until(
            lambda: metric(PORT + 1, "llmvitals_panes_closed_total") >= BUDGETS,
            "the first panes are closed",
            120,
        )
        used, began = {stage: cpu(process) for stage, process in workers.items()}, time.perf_counter()
        flushed = [flushes(port) for port in (PORT, PORT + 1)]
        took = await breaches(producer, topic, slack, tries)
        clock = time.perf_counter() - began
        busy.cancel()
        print(f"{BUDGETS:,} budgets, {RATE} calls a second, {tries} breaches:")
        for stage, process in workers.items():
            share = (cpu(process) - used[stage]) / clock
            print(f"  {stage:8} {memory(process):6.0f} MB  {share:6.0%} of a core")
        for stage, port, (seconds, count) in zip(STAGES, (PORT, PORT + 1), flushed, strict=False):
            more, times = flushes(port)
            print(f"  a flush of {stage}: {(more - seconds) / max(times - count, 1) * 1_000:.0f} ms")
        ranks = {"p50": took[len(took) // 2], "p99": took[min(int(len(took) * 0.99), len(took) - 1)]}
        print("  breach to Slack: " + ", ".join(f"{name} {value:.2f} s" for name, value in ranks.items()))
    await producer.stop()


async def main() -> None:
    """Measure and print."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    async with bench("budgets") as (settings, env, slack):
        await measure(settings, env, slack, tries)


if __name__ == "__main__":
    asyncio.run(main())
