"""Calls a second of a combine worker, and entries a second of a merge worker, on Kafka.

combine has four views of few series, or one view by user. What limits it then is the number of series in a
pane; an eager view, which rules read before its panes close, sends them twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.bench import Bench, Figure, Found, Measurement
from benchmarks.calls import BY_USER, VIEWS
from benchmarks.workers import Worker, caught_up, wait

USERS: Final = (100, 1_000, 10_000, 100_000)
PARTITIONS: Final = (1, 16)
"""Beside the usual 4."""
EAGER: Final = 10_000
SHARE: Final = 4
"""With so many times fewer calls the numbers of partitions are measured."""


def combine(bench: Bench, name: str, env: dict[str, str], calls: int) -> Found:
    """A combine worker, from its first call to its last."""
    bench.say(name)
    with Worker("combine", env) as worker:
        wait([worker], lambda: worker.last("in") >= calls, f"combine has {calls:,} calls")
        worker.end()
        return Found(name, worker.rate("in"), worker.last("mb"))


def merge(bench: Bench, name: str, env: dict[str, str]) -> Found:
    """A merge worker on what combine has sent to the same topics."""
    bench.say(name)
    with Worker("merge", env) as worker:
        wait([worker], lambda: worker.last("entries") > 0, "merge has entries")
        since = time.monotonic()
        wait([worker], lambda: caught_up([worker], since), "merge has all entries")
        worker.end()
        return Found(name, worker.rate("entries"), worker.last("mb"))


def measure_views(bench: Bench) -> Iterator[Found]:
    """Four views."""
    yield combine(bench, "llmvitals-combine", bench.env("views", views=VIEWS), bench.calls)


def measure_users(bench: Bench) -> Iterator[Found]:
    """One view by user, and merge with 10,000 of them."""
    for users in USERS:
        env = bench.env(f"users-{users}", users=users, views=BY_USER)
        yield combine(bench, f"combine-users-{users}", env, bench.calls)
        if users == EAGER:
            yield merge(bench, "llmvitals-merge", env)


def measure_eager(bench: Bench) -> Iterator[Found]:
    """An eager view by user: a budget for each."""
    env = bench.env("eager", users=EAGER, alerts=bench.budgets())
    yield combine(bench, f"combine-eager-{EAGER}", env, bench.calls)


def measure_partitions(bench: Bench) -> Iterator[Found]:
    """Other numbers of partitions: each has a state of its own, and sends entries of its own."""
    calls = max(bench.calls // SHARE, 1)
    for partitions in PARTITIONS:
        env = bench.env(
            f"partitions-{partitions}", users=1_000, calls=calls, partitions=partitions, views=BY_USER
        )
        yield combine(bench, f"combine-partitions-{partitions}", env, calls)


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
        f"combine-partitions-{number}", "calls", f"combine, 1,000 users, {number} partitions", beside="faust"
    )
    for number in PARTITIONS
)
MEASUREMENTS: Final = (
    Measurement("combine, 4 views", (FOUR,), measure_views),
    Measurement("by user", (*BY_USERS, MERGE), measure_users),
    Measurement("eager", (EAGERLY,), measure_eager),
    Measurement("partitions", BY_PARTITIONS, measure_partitions),
)
