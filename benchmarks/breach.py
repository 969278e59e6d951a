"""From a call on Kafka that exceeds a budget to the message in Slack, at half load.

The three workers and the fake Slack; a budget for each user. While other calls go on at half of what
`end-to-end-1` has reached in the same run, one user after the other passes their budget; the time is from
Kafka's acknowledgement of the call to Slack's receipt of the message.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from aiokafka import AIOKafkaProducer
from benchmarks.bench import Bench, Figure, Found, MeasureFailed, Measurement
from benchmarks.calls import PARTITIONS, VIEWS, Calls
from benchmarks.end_to_end import STAGES, USERS
from benchmarks.workers import Worker, caught_up, wait

from llmvitals.local.service import Child
from llmvitals.testing import FakeSlack
from llmvitals.testing.workspace import Posted

TRIES: Final = 50
FIRST: Final = 10_000_000
"""The number of the first user who passes a budget."""
PATIENCE: Final = 60.0
"""Seconds until a message is given up."""
SETTLED: Final = 3.0
"""Seconds without news after which the workers are settled."""
FEWER: Final = 15
"""Tries with other numbers of users."""
SIZES: Final = (100, 10_000, 100_000)
PACE: Final = 1.1
"""Seconds between two messages: Slack takes one a second."""
LOAD: Final = 2_000.0
"""Calls a second where `end-to-end-1` was not measured."""


def mentions(user: str, message: Posted) -> bool:
    """Whether a message is about this user."""
    return user in message.shown


async def breaches(brokers: str, topic: str, slack: FakeSlack, tries: int) -> list[float]:
    """Seconds of each try, sorted. Raises MeasureFailed."""
    took, calls = list[float](), Calls(1, "breach", cost=2.0)
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    try:
        for user in range(FIRST, FIRST + tries):
            value = calls.at(time.time_ns() // 1_000_000, user)
            await producer.send_and_wait(topic, value, partition=user % PARTITIONS)
            began = time.perf_counter()
            await slack.wait_for(partial(mentions, f"u-{user}"), PATIENCE)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, PACE - took[-1]))
    except AssertionError:
        raise MeasureFailed(f"no message in Slack {PATIENCE:.0f} s after breach {len(took) + 1}") from None
    finally:
        await producer.stop()
    return sorted(took)


async def latencies(bench: Bench, users: int, tries: int, rate: float) -> list[float]:
    """Seconds of each breach, sorted, while so many users call at this rate. Raises MeasureFailed."""
    name = f"breach-{users}"
    async with FakeSlack(channels=["#bench"]) as slack:
        env = await asyncio.to_thread(
            bench.env,
            name,
            users=users,
            calls=users,
            views=VIEWS,
            alerts=bench.budgets(),
            sqlite=str(bench.folder / f"{name}.db"),
            slack_token=slack.token,
            slack_channel="#bench",
            slack_api_url=slack.url,
        )
        bench.say(f"{name}: {tries} breaches at {rate:,.0f} calls/s")
        brokers, topic = env["LLMVITALS_BROKERS"], f"{name}.calls.v1"
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(stage, env)) for stage in STAGES]
            combine, merge, sink = workers
            await asyncio.to_thread(
                wait, workers, lambda: combine.last("in") >= users, "combine has all users"
            )
            await asyncio.to_thread(
                wait,
                workers,
                lambda: caught_up([merge, sink], time.monotonic() - SETTLED),
                "merge has all users",
            )
            command = ["-m", "benchmarks.load", brokers, topic, str(rate), str(users)]
            load = Child([sys.executable, *command], bench.folder / "load.log", env=env)
            stack.callback(load.stop, 0.0)
            await asyncio.sleep(SETTLED)
            return await breaches(brokers, topic, slack, tries)


def measure(bench: Bench) -> Iterator[Found]:
    """With the usual number of users, and with fewer and more of them."""
    reached = bench.found.get("end-to-end-1")
    rate = reached.value / 2 if reached and reached.value else LOAD
    took = asyncio.run(latencies(bench, USERS, TRIES, rate))
    yield Found("breach-rate", rate)
    yield Found("breach-p50-s", took[len(took) // 2])
    yield Found("breach-p99-s", took[-1])
    for users in SIZES:
        try:
            took = asyncio.run(latencies(bench, users, FEWER, rate))
        except MeasureFailed as failure:
            yield Found(f"breach-p50-s-{users}", None, note=str(failure))
        else:
            yield Found(f"breach-p50-s-{users}", took[len(took) // 2])


FIGURES: Final = (
    Figure("breach-rate", "calls", "calls a second meanwhile: half of end-to-end-1"),
    Figure("breach-p50-s", "s", f"breach to Slack, median of {TRIES}, {USERS:,} users", rate=False),
    Figure("breach-p99-s", "s", f"the slowest of these {TRIES}", rate=False),
    *(
        Figure(f"breach-p50-s-{users}", "s", f"median of {FEWER}, {users:,} users", rate=False)
        for users in SIZES
    ),
)
MEASUREMENT: Final = Measurement("breach to Slack", FIGURES, measure)
