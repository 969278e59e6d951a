"""All three stages on one machine: calls a second, and what a call costs each of them.

Four views, a budget for each of USERS users, points to SQLite. The calls lie on Kafka before the workers
start; the rate is from the first call that all combine workers have counted to the moment when nothing is
left to read anywhere.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Figure, Measurement, Result
from benchmarks.calls import PER_SECOND, VIEWS
from benchmarks.workers import Worker, all_caught_up, wait

USERS: Final = 1_000
MANY: Final = 100_000
"""Users whose rate is measured by itself, as half of it is the load of breaches with so many users."""
STAGES: Final = ("combine", "merge", "sink")
WORKED: Final = {"combine": "in", "merge": "entries"}
"""What a stage counts."""
TOPICS: Final = ("calls", "partials", "vitals", "checkpoints")


def measure(bench: Bench) -> Iterator[Result]:
    """With one worker a stage, what it costs, with two, and with many users."""
    if bench.wants("end-to-end-1", *(figure.name for figure in COSTS)):
        yield from run(bench, "end-to-end-1", 1)
    if bench.wants("end-to-end-2"):
        yield from run(bench, "end-to-end-2", 2)
    if bench.wants(f"end-to-end-users-{MANY}"):
        yield from run(bench, f"end-to-end-users-{MANY}", 1, users=MANY)


def run(bench: Bench, name: str, count: int, *, users: int = USERS) -> Iterator[Result]:
    """The rate with `count` workers a stage; of one and the usual users also the costs."""
    env = bench.env(
        name, users=users, views=VIEWS, alerts=bench.budgets(), sqlite=str(bench.folder / f"{name}.db")
    )
    bench.say(name)
    with ExitStack() as stack:
        workers = {stage: [stack.enter_context(Worker(stage, env)) for _ in range(count)] for stage in STAGES}
        everyone = [worker for group in workers.values() for worker in group]
        combines, later = workers["combine"], (workers["merge"], workers["sink"])
        wait(everyone, lambda: all(worker.last("in") for worker in combines), "all combine workers count")
        began, first, broker = time.monotonic(), counted(combines), cpu_of(bench.kafka.pid)
        wait(everyone, lambda: counted(combines) >= bench.calls, f"combine has {bench.calls:,} calls")
        done = time.monotonic()
        end = wait(everyone, lambda: all_caught_up(later, done), "merge and sink have caught up")
        yield Result(name, (bench.calls - first) / ((end or done) - began))
        if (count, users) == (1, USERS):
            spent = (cpu_of(bench.kafka.pid) - broker) / (bench.calls - first) * 1e6
            yield Result("kafka-cpu-us", None if math.isnan(spent) else spent)
            yield Result("cores", os.cpu_count())
            for worker in everyone:
                worker.end()
            yield from costs(bench, {stage: group[0] for stage, group in workers.items()})


def counted(workers: list[Worker]) -> float:
    """The calls that they have counted, all together."""
    return sum(worker.last("in") for worker in workers)


def costs(bench: Bench, workers: dict[str, Worker]) -> Iterator[Result]:
    """CPU and memory of each stage, and bytes of each topic. The sink has too few points for a CPU time."""
    for stage, worker in workers.items():
        yield Result(f"{stage}-mb", worker.last("mb"))
        if stage in WORKED:
            yield Result(f"{stage}-cpu-us", cpu(worker) / worker.last(WORKED[stage]) * 1e6)
    combine, merge = workers["combine"], workers["merge"]
    yield Result("entries-a-call", merge.last("entries") / combine.last("in"))
    yield Result("points-a-second", merge.last("points") * PER_SECOND / bench.calls)
    for topic in TOPICS:
        yield Result(
            f"{topic}-bytes-a-call",
            size(bench.kafka.folder / "log", f"end-to-end-1.{topic}.v1") / bench.calls,
        )


def cpu(worker: Worker) -> float:
    """Seconds of CPU since the worker was ready: those of its start are no cost of calls."""
    ready = next(at for at, is_ready in worker.series["ready"] if is_ready)
    return worker.last("cpu") - next(seconds for at, seconds in worker.series["cpu"] if at >= ready)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used; NaN where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size(folder: Path, topic: str) -> int:
    """The bytes of a topic on the broker's disk."""
    return sum(file.stat().st_size for file in folder.glob(f"{topic}-*/*.log"))


RATES: Final = (
    Figure("end-to-end-1", "calls", f"all stages, 1 worker a stage, {USERS:,} users", beside="faust"),
    Figure("end-to-end-2", "calls", f"all stages, 2 workers a stage, {USERS:,} users", beside="faust"),
    Figure(f"end-to-end-users-{MANY}", "calls", f"all stages, 1 worker a stage, {MANY:,} users"),
)
COSTS: Final = (
    *(Figure(f"{stage}-mb", "MB", f"memory of a {stage} worker", rate=False) for stage in STAGES),
    Figure("combine-cpu-us", "µs a call", "CPU of combine, Kafka's client included", rate=False),
    Figure(
        "merge-cpu-us", "µs an entry", "CPU of merge, Kafka's client, rules and points included", rate=False
    ),
    Figure("kafka-cpu-us", "µs a call", "CPU of the broker", rate=False),
    Figure("cores", "", "cores of the machine", rate=False),
    Figure("entries-a-call", "entries", f"panes of series that combine sends, {USERS:,} users", rate=False),
    Figure("points-a-second", "points", "points a second of event time", rate=False),
    *(
        Figure(f"{topic}-bytes-a-call", "bytes", f"on the topic of {topic}, a call", rate=False)
        for topic in TOPICS
    ),
)
MEASUREMENT: Final = Measurement("end to end", (*RATES, *COSTS), measure)
