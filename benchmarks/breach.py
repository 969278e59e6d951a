"""From a call on Kafka to a message in Slack, and from a restart to being caught up.

`python -m benchmarks.breach`: a real broker, the three workers and the fake Slack. First 50 users pass their
budgets, one after the other; the time is from Kafka's acknowledgement of the call to Slack's receipt of the
message. Then 10,000 series are made, the merge worker (a static member of its group) is killed, and the time
is from its start to having read all that there is.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from benchmarks.__main__ import PORT, metric

from llmvitals import topics
from llmvitals.local.kafka import LocalKafka
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from llmvitals.testing.workspace import Posted

TRIES = 50
SERIES = 10_000
RULE = """
groups:
- name: bench
  rules:
  - alert: UserBudget
    budget: {metric: cost, limit: 1, per: day, by: [user], thresholds: [100%]}
"""


@contextmanager
def worker(stage: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """One stage in a process of its own."""
    log = Path(tempfile.gettempdir()) / f"bench-{stage}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "llmvitals", "worker", "--stage", stage]
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def mentions(user: str, message: Posted) -> bool:
    return user in message.shown


async def until(fact: Any, what: str, seconds: float = 60) -> None:
    """Return when `fact()` is true."""
    for _ in range(int(seconds * 50)):
        if fact():
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"not within {seconds} s: {what}")


def call(number: int, user: str, cost: float) -> bytes:
    """One call that ends now."""
    event = {"id": f"c{number}", "ts": time.time_ns() // 10**6, "model": "m", "user": user, "cost_usd": cost}
    return json.dumps(event).encode()


async def breaches(producer: AIOKafkaProducer, topic: str, slack: FakeSlack, tries: int) -> list[float]:
    """Seconds of each try, sorted."""
    took = []
    for number in range(tries):
        user = f"breach-{number:04}"
        await producer.send_and_wait(topic, call(-number - 1, user, 2.0), partition=number % 4)
        began = time.perf_counter()
        await slack.wait_for(partial(mentions, user), 60)
        took.append(time.perf_counter() - began)
        # Slack's own pace of a message a second is not measured.
        await asyncio.sleep(max(0.0, 1.1 - took[-1]))
    return sorted(took)


async def restart(
    producer: AIOKafkaProducer, topic: str, env: dict[str, str], merge: Any
) -> tuple[float, float]:
    """(series, seconds) of a merge worker that was killed with so many series alive."""
    last = None
    for second in range(12):
        for number in range(SERIES):
            last = await producer.send(topic, call(1_000 + second * SERIES + number, f"u-{number}", 0.001))
        await asyncio.sleep(1)
    if last is not None:
        await last
    await until(lambda: metric(PORT + 1, "llmvitals_entries_total") >= SERIES, "merge has the series")
    await asyncio.sleep(5)  # a few checkpoints
    merge.kill()
    merge.wait(10)
    began = time.perf_counter()
    with worker("merge", env):
        await until(lambda: metric(PORT + 1, "llmvitals_ready") > 0, "merge is ready again")
        await until(lambda: metric(PORT + 1, "llmvitals_lag") == 0, "merge is caught up")
        took = time.perf_counter() - began
    return SERIES, took


@asynccontextmanager
async def bench(name: str, **more: str) -> AsyncIterator[tuple[Settings, dict[str, str], FakeSlack]]:
    """A broker with our topics, a Slack, and the environment of workers that watch a budget for each user."""
    async with FakeSlack(channels=["#bench"]) as slack:
        with LocalKafka() as kafka, tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "rules.yaml").write_text(RULE)
            settings = Settings(brokers=kafka.address, topic_prefix=name, group=name)
            await topics.apply(settings)
            ours = {
                "BROKERS": kafka.address,
                "TOPIC_PREFIX": name,
                "GROUP": name,
                "ALERTS": folder,
                "HEALTH_PORT": str(PORT),
                "SLACK_TOKEN": slack.token,
                "SLACK_CHANNEL": "#bench",
                "SLACK_API_URL": slack.url,
                "SQLITE": str(Path(folder) / "v.db"),
                **more,
            }
            yield (
                settings,
                dict(os.environ) | {f"LLMVITALS_{key}": value for key, value in ours.items()},
                slack,
            )


async def main() -> None:
    """Measure and print."""
    async with bench("breach", INSTANCE="bench") as (settings, env, slack):
        producer = AIOKafkaProducer(bootstrap_servers=settings.brokers)
        await producer.start()
        with worker("combine", env), worker("sink", env), worker("merge", env) as merge:
            for port in range(PORT, PORT + 3):
                await until(lambda port=port: metric(port, "llmvitals_ready") > 0, "the workers are ready")
            took = await breaches(producer, settings.topic("calls"), slack, TRIES)
            print(
                f"breach to Slack, {TRIES} tries: p50 {took[TRIES // 2]:.2f} s, "
                f"p99 {took[-1]:.2f} s (the slowest of them)"
            )
            series, seconds = await restart(producer, settings.topic("calls"), env, merge)
            print(f"restart of merge with {series:,.0f} series: caught up in {seconds:.1f} s")
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
