"""How long merge needs from a restart to having caught up, and its longest stop and memory before that.

Every user calls twice; there is a view by user, and a budget for each. The merge worker reads all of it,
closes its panes, and is killed; the time is from the start of its successor to having done again what no
checkpoint had yet. Combine has ended by then, as its promises would be new work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.bench import Bench, Figure, MeasureFailed, Measurement, Result
from benchmarks.calls import BY_USER
from benchmarks.workers import Worker, caught_up, wait

SIZES: Final = (10_000, 100_000)
ROUNDS: Final = 2
"""Calls of each user."""
STALL: Final = "10m"
"""With the default of 60 s the worker would end where closing a pane takes longer than that."""
QUIET: Final = 5.0
"""Seconds without a point that is made, after which merge is done."""


def measure(bench: Bench) -> Iterator[Result]:
    """Both sizes."""
    for users in SIZES:
        if not bench.wants(*(figure.name for figure in figures(users))):
            continue
        measured = set[str]()
        try:
            for result in run(bench, users):
                measured.add(result.name)
                yield result
        except MeasureFailed as failure:
            for name in {figure.name for figure in figures(users)} - measured:
                yield Result(name, None, note=str(failure))


def run(bench: Bench, users: int) -> Iterator[Result]:
    """One size. Raises MeasureFailed."""
    calls, rules = ROUNDS * users, bench.budgets()
    env = bench.env(
        f"restart-{users}",
        users=users,
        calls=calls,
        views=BY_USER,
        alerts=rules,
        instance="bench",
        stall=STALL,
    )
    bench.say(f"restart with {users:,} series")
    with Worker("combine", env) as combine:
        wait([combine], lambda: combine.last("in") >= calls, "combine has all calls")
        with Worker("merge", env) as merge:
            wait([combine, merge], lambda: merge.last("panes") >= users, "merge has closed a pane of each")
            wait([combine, merge], lambda: still(merge), "merge has nothing left to do")
            combine.end()
            merge.end(grace=0)
        stop, mb, restore = figures(users)
        yield Result(stop.name, merge.last("stop") * 1e3)
        yield Result(mb.name, merge.last("mb"))
        with Worker("merge", env) as again:
            ready = wait([again], lambda: ready_at(again), "merge is ready again") or 0.0
            end = wait([again], lambda: caught_up([again], ready), "merge has caught up")
            yield Result(restore.name, (end or ready) - again.began)


def ready_at(worker: Worker) -> float | None:
    """When the worker was ready, if it is."""
    return worker.series["ready"][-1][0] if worker.last("ready") else None


def still(merge: Worker) -> bool:
    """Whether it has made no point for QUIET seconds, and has nothing to read."""
    since = merge.series["points"][-1][0]
    return time.monotonic() - since > QUIET and caught_up([merge], since) is not None


def figures(users: int) -> tuple[Figure, Figure, Figure]:
    """The longest stop, the memory and the restart of a size; the usual size of a stop has no suffix."""
    stop = "longest-stop-ms" if users == SIZES[-1] else f"longest-stop-ms-{users}"
    return (
        Figure(stop, "ms", f"longest stop of a merge worker, {users:,} series", rate=False),
        Figure(f"merge-mb-{users}", "MB", f"memory of a merge worker, {users:,} series", rate=False),
        Figure(f"restore-{users}-s", "s", f"restart of merge to caught up, {users:,} series", rate=False),
    )


FIGURES: Final = tuple(figure for users in SIZES for figure in figures(users))
MEASUREMENT: Final = Measurement("restart", FIGURES, measure)
