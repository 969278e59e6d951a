"""From a call on Kafka that exceeds a budget to the message in Slack, at half load.

The three workers and the fake Slack; a budget for each user. While other calls go on at half of what
`end-to-end-1` has reached in the same run (with 100,000 users: half of `end-to-end-users-100000`), one user
after the other passes their budget; the time is from Kafka's acknowledgement of the call to Slack's receipt
of the message.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer
from benchmarks.bench import Bench, Figure, MeasureFailed, Measurement, Result
from benchmarks.calls import PARTITIONS, VIEWS, Calls
from benchmarks.end_to_end import MANY, STAGES, USERS
from benchmarks.workers import PATH, Worker, all_caught_up, wait

from benchmarks import worker_rates
from llmvitals.local.service import Child
from llmvitals.testing import FakeSlack
from llmvitals.testing.workspace import Posted

TRIES: Final = 50
FIRST: Final = 10_000_000
"""The number of the first user who passes a budget."""
PATIENCE: Final = 60.0
"""Seconds until a message is given up."""
SETTLED: Final = 3.0
"""Seconds of load before the first breach."""
FEWER: Final = 15
"""Tries of other cases."""
SIZES: Final = (100, 10_000, MANY)
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
            await producer.send_and_wait(topic, value, partition=0)
            began = time.perf_counter()
            await slack.wait_for(partial(mentions, f"u-{user}"), PATIENCE)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, PACE - took[-1]))
    except AssertionError:
        raise MeasureFailed(f"no message in Slack {PATIENCE:.0f} s after breach {len(took) + 1}") from None
    finally:
        await producer.stop()
    return sorted(took)


class Case(NamedTuple):
    """So many users call, on so many partitions; each has a budget. name: the end of the figures'."""

    name: str
    users: int = USERS
    partitions: int = PARTITIONS
    tries: int = FEWER

    def figures(self) -> list[Figure]:
        """The median; of many tries also the slowest, and the calls meanwhile."""
        what = f"median of {self.tries}, {self.users:,} users, partitions: {self.partitions}"
        median = Figure(f"breach-p50-s{self.name}", "s", f"breach to Slack, {what}", rate=False)
        if self.tries < TRIES:
            return [median]
        slowest = f"the slowest of {self.tries}, {self.users:,} users"
        return [
            median,
            Figure(f"breach-p99-s{self.name}", "s", slowest, rate=False),
            Figure(f"breach-rate{self.name}", "calls", f"calls a second meanwhile, {self.users:,} users"),
        ]


CASES: Final = (
    Case("", tries=TRIES),
    *(Case(f"-{users}", users=users, tries=TRIES if users == MANY else FEWER) for users in SIZES),
    *(Case(f"-partitions-{number}", partitions=number) for number in worker_rates.PARTITIONS),
)


async def latencies(bench: Bench, case: Case, rate: float) -> list[float]:
    """Seconds of each breach, sorted, while calls go on at this rate. Raises MeasureFailed."""
    name = f"breach{case.name}"
    async with FakeSlack(channels=["#bench"]) as slack:
        given = {"slack_token": slack.token, "slack_channel": "#bench", "slack_api_url": slack.url}
        files = {"alerts": bench.budgets(), "sqlite": str(bench.folder / f"{name}.db")}
        env = await asyncio.to_thread(
            bench.env,
            name,
            users=case.users,
            calls=case.users,
            partitions=case.partitions,
            views=VIEWS,
            **files,
            **given,
        )
        bench.say(f"{name}: {case.tries} breaches at {rate:,.0f} calls/s")
        stack = ExitStack()
        try:
            workers = [stack.enter_context(Worker(stage, env)) for stage in STAGES]
            await asyncio.to_thread(begin, workers, case.users)
            brokers, topic = env["LLMVITALS_BROKERS"], f"{name}.calls.v1"
            load = [brokers, topic, str(case.partitions), str(rate), str(case.users)]
            command = [sys.executable, "-m", "benchmarks.load", *load]
            child = Child(command, bench.folder / "load.log", env={**env, "PYTHONPATH": PATH})
            stack.callback(child.stop, 0.0)
            await asyncio.sleep(SETTLED)
            return await breaches(brokers, topic, slack, case.tries)
        finally:
            # In a thread, as a sink that ends may wait for an answer of Slack, which this loop gives.
            await asyncio.to_thread(stack.close)


def begin(workers: list[Worker], users: int) -> None:
    """Wait until every budget is alive: all workers have worked on the first call of each user."""
    combine, *later = workers
    wait(workers, lambda: combine.last("in") >= users, "combine has all users")
    done = time.monotonic()
    wait(workers, lambda: all_caught_up([[worker] for worker in later], done), "merge has all users")


def measure(bench: Bench) -> Iterator[Result]:
    """All cases."""
    for case in CASES:
        figures = case.figures()
        if not bench.wants(*(figure.name for figure in figures)):
            continue
        reached = bench.results.get(f"end-to-end-users-{MANY}" if case.users == MANY else "end-to-end-1")
        rate = reached.value / 2 if reached and reached.value else LOAD
        try:
            took = asyncio.run(latencies(bench, case, rate))
        except MeasureFailed as failure:
            yield from (Result(figure.name, None, note=str(failure)) for figure in figures)
            continue
        values = took[len(took) // 2], took[-1], rate
        yield from (Result(figure.name, value) for figure, value in zip(figures, values, strict=False))


FIGURES: Final = tuple(chain.from_iterable(case.figures() for case in CASES))
MEASUREMENT: Final = Measurement("breach to Slack", FIGURES, measure)
