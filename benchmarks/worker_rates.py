"""Calls a second of a combine worker, and entries a second of a merge worker, on Kafka.

combine has four views of few series, or one view by user. What limits it then is the number of series in a
pane; an eager view, which rules read before its panes close, sends them twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.bench import Bench, Figure, MeasureFailed, Measurement, Result
from benchmarks.calls import BY_USER, VIEWS
from benchmarks.workers import Worker, caught_up, wait

USERS: Final = (100, 1_000, 10_000, 100_000)
PARTITIONS: Final = (1, 16)
"""Beside the usual 4."""
EAGER: Final = 10_000
SHARE: Final = 2
"""With so many times fewer calls the numbers of partitions are measured."""


def rate_of(name: str, worker: Worker, counter: str) -> Result:
    """What a counter of a worker that has ended says; a note where it says too little."""
    try:
        return Result(name, worker.rate(counter), worker.last("mb"))
    except MeasureFailed as failure:
        return Result(name, None, worker.last("mb"), note=str(failure))


def combine(bench: Bench, name: str, env: dict[str, str], calls: int) -> Result:
    """A combine worker, from its first call to its last."""
    bench.say(name)
    with Worker("combine", env) as worker:
        wait([worker], lambda: worker.last("in") >= calls, f"combine has {calls:,} calls")
        worker.end()
        return rate_of(name, worker, "in")


def merge(bench: Bench, name: str, env: dict[str, str]) -> Result:
    """A merge worker on what combine has sent to the same topics."""
    bench.say(name)
    with Worker("merge", env) as worker:
        wait([worker], lambda: worker.last("entries") > 0, "merge has entries")
        since = time.monotonic()
        wait([worker], lambda: caught_up([worker], since), "merge has all entries")
        worker.end()
        return rate_of(name, worker, "entries")


def measure_views(bench: Bench) -> Iterator[Result]:
    """Four views."""
    if bench.wants("llmvitals-combine"):
        yield combine(bench, "llmvitals-combine", bench.env("views", views=VIEWS), bench.calls)


def measure_users(bench: Bench) -> Iterator[Result]:
    """One view by user, and merge with 10,000 of them."""
    for users in USERS:
        name, merged = f"combine-users-{users}", users == EAGER and bench.wants("llmvitals-merge")
        if not (bench.wants(name) or merged):
            continue
        env = bench.env(f"users-{users}", users=users, views=BY_USER)
        yield combine(bench, name, env, bench.calls)
        if merged:
            yield merge(bench, "llmvitals-merge", env)


def measure_eager(bench: Bench) -> Iterator[Result]:
    """An eager view by user: a budget for each."""
    if bench.wants(EAGERLY.name):
        env = bench.env("eager", users=EAGER, alerts=bench.budgets())
        yield combine(bench, EAGERLY.name, env, bench.calls)


def measure_partitions(bench: Bench) -> Iterator[Result]:
    """Other numbers of partitions: each has a state of its own, and sends entries of its own."""
    calls = max(bench.calls // SHARE, 1)
    for partitions in PARTITIONS:
        name = f"combine-partitions-{partitions}"
        if bench.wants(name):
            env = bench.env(
                f"partitions-{partitions}", users=1_000, calls=calls, partitions=partitions, views=BY_USER
            )
            yield combine(bench, name, env, calls)


FOUR: Final = Figure("llmvitals-combine", "calls", "combine, 4 views", beside="faust")
BY_USERS: Final = tuple(
    Figure(
        f"combine-users-{users}",
        "calls",
        f"combine, a view by user, {users:,} users",
        beside="faust",
        former="llmvitals-combine-10k" if users == EAGER else "",
    )
    for users in USERS
)
MERGE: Final = Figure("llmvitals-merge", "entries", f"a merge worker, {EAGER:,} users")
EAGERLY: Final = Figure(
    f"combine-eager-{EAGER}", "calls", f"combine, an eager view by user, {EAGER:,} users", beside="faust"
)
BY_PARTITIONS: Final = tuple(
    Figure(
        f"combine-partitions-{number}", "calls", f"combine, 1,000 users, partitions: {number}", beside="faust"
    )
    for number in PARTITIONS
)
MEASUREMENTS: Final = (
    Measurement("combine, 4 views", (FOUR,), measure_views),
    Measurement("by user", (*BY_USERS, MERGE), measure_users),
    Measurement("eager", (EAGERLY,), measure_eager),
    Measurement("partitions", BY_PARTITIONS, measure_partitions),
)
