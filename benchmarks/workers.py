"""Workers in processes of their own, and what their journals tell of them."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from benchmarks.bench import MeasureFailed

from llmvitals.local.service import Child

T = TypeVar("T")
ROOT: Final = Path(__file__).parents[1]
PATH: Final = f"{ROOT}/src:{ROOT}"
"""Where the processes that are started find llmvitals and these benchmarks."""
LOOK: Final = 0.1
"""Seconds between two looks at the journals; the workers don't notice them."""
REPORTED: Final = 3.0
"""Seconds within which each worker that has partitions reports their lag."""
PATIENCE: Final = 300.0
"""Seconds that a fact is waited for."""


class Worker:
    """A worker process of one stage, and its journal; a context manager.

    series: name → (seconds, value) in the order of time; see benchmarks/watched.py for the names.
    """

    def __init__(self, stage: str, env: Mapping[str, str]) -> None:
        self.stage, self._env = stage, {**env, "PYTHONPATH": PATH}
        self.series: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def __enter__(self) -> Self:
        folder = self._folder = tempfile.TemporaryDirectory(prefix=f"bench-{self.stage}-")
        path, log = Path(folder.name) / "journal", Path(folder.name) / "log"
        command = ["-m", "benchmarks.watched", str(path), "worker", "--stage", self.stage]
        path.touch()
        self._journal = path.open()
        self.began = time.monotonic()
        self._child = Child([sys.executable, *command], log, scratch=path.parent, env=self._env)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, grace: float = 30.0) -> None:
        """End the process and read the rest of its journal; grace: 0 to kill it. May be called twice."""
        self._child.stop(grace)
        if not self._journal.closed:
            self.read()
            self._journal.close()
            self._folder.cleanup()

    def read(self) -> None:
        """Read what is new in the journal. Raises MeasureFailed where the worker has ended by itself."""
        while True:
            place = self._journal.tell()
            line = self._journal.readline()
            if not line.endswith("\n"):
                self._journal.seek(place)
                break
            at, name, value = json.loads(line)
            self.series[name].append((at, value))

    def last(self, name: str) -> float:
        """The newest value of a name; 0 before there is one."""
        return self.series[name][-1][1] if self.series[name] else 0.0

    def look(self) -> None:
        """Read the journal. Raises MeasureFailed when the worker has ended."""
        self.read()
        if not self._child.alive:
            raise MeasureFailed(f"the {self.stage} worker ended: {self._child.tail(1)}")

    def rate(self, name: str) -> float:
        """How much a counter rose in a second while it rose: from its first report to its last but one.

        Reports come every half second; the last one may cover less than that. Raises MeasureFailed for fewer
        than three.
        """
        reports = _apart(self.series[name])[:-1]
        if len(reports) < 2:
            raise MeasureFailed(f"{self.stage} was done before its third report: measure more calls")
        (began, first), (ended, last) = reports[0], reports[-1]
        return (last - first) / (ended - began)


def _apart(reports: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The last report of each turn: the partitions report one after the other, within milliseconds."""
    following = [*reports[1:], (float("inf"), 0.0)]
    return [report for report, later in zip(reports, following, strict=False) if later[0] - report[0] > 0.1]


def wait(workers: list[Worker], fact: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true answer of `fact`. Raises MeasureFailed without one in time, or if a worker has ended."""
    until = time.monotonic() + seconds
    while True:
        for worker in workers:
            worker.look()
        if answer := fact():
            return answer
        if time.monotonic() > until:
            raise MeasureFailed(f"not within {seconds:.0f} s: {what}")
        time.sleep(LOOK)


def output(words: Sequence[str], log: Path, seconds: float) -> list[str]:
    """What `python -m WORDS` prints until it ends, in lines; it ends with this process at the latest.

    log: the file for that. Raises MeasureFailed when it takes longer than so many seconds.
    """
    log.unlink(missing_ok=True)
    child, until = (
        Child([sys.executable, "-m", *words], log, env={**os.environ, "PYTHONPATH": PATH}),
        time.monotonic() + seconds,
    )
    try:
        while child.alive:
            if time.monotonic() > until:
                raise MeasureFailed(f"not done after {seconds:.0f} s")
            time.sleep(LOOK)
    finally:
        child.stop(0.0)
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def all_caught_up(stages: Sequence[Sequence[Worker]], since: float) -> float | None:
    """When the workers of all stages had read everything; see `caught_up`."""
    ends = [caught_up(workers, since) for workers in stages]
    return max(end for end in ends if end) if all(ends) else None


def caught_up(workers: Sequence[Worker], since: float) -> float | None:
    """When the workers of a stage had read everything, if that was after `since`; None if it is not so.

    Each reports every second how much its partitions have left; one without a partition reports nothing.
    """
    now = time.monotonic()
    if now < since + REPORTED:
        return None
    lags = [_apart(worker.series["lag"]) for worker in workers]
    ends = [_end(reports, since) for reports in lags if reports and reports[-1][0] > now - REPORTED]
    return max(ends) if ends and math.inf not in ends else None


def _end(reports: list[tuple[float, float]], since: float) -> float:
    """The first of the last reports that are all 0, of those after `since`; infinity where there is none."""
    end = math.inf
    for at, lag in reversed(reports):
        if lag or at <= since:
            break
        end = at
    return end
