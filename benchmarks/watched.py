"""Runs a command of llmvitals with a journal of it: `python -m benchmarks.watched FILE worker …`.

To read /metrics costs the worker time, so the benchmark reads this file instead. A line is a JSON array:
seconds (time.monotonic), a name and a number. The names are those that a worker gives its meters; counters
are totals over their labels, and so is `lag`. Beside them: `ready` (1 or 0), `stop` (the longest step of the
event loop so far, in seconds, after the first record was counted), `cpu` (seconds) and `mb` (the greatest
resident size), once a second.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from llmvitals.entry import main
from llmvitals.runtime.health import Health

REPORTED = 0.5
"""Seconds within which the lags of all partitions are reported, once a second."""


def peak_mb() -> float:
    """The greatest resident size of this process so far, in MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS
    # On Linux ru_maxrss begins with the size of the process that started this one.
    sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(sizes["VmHWM"].split()[0]) * 1_024 / 1e6


class Journal:
    """The file, and the totals so far."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._totals: Counter[str] = Counter()
        self._lags: dict[str, tuple[float, float]] = {}
        self.longest = 0.0

    def count(self, name: str, value: int) -> None:
        self._totals[name] += value
        self.write(name, self._totals[name])

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        if name == "lag":
            now = time.monotonic()
            self._lags[json.dumps(labels)] = (now, value)
            # Another worker has the partitions that are not reported any more.
            self.write("lag", sum(lag for at, lag in self._lags.values() if now - at < REPORTED))
            self.write("cpu", time.process_time())
            self.write("mb", peak_mb())

    def step(self, seconds: float) -> None:
        """A step of an event loop took so long."""
        if seconds > self.longest and self._totals:
            self.longest = seconds
            self.write("stop", seconds)

    def write(self, name: str, value: float) -> None:
        self._file.write(json.dumps([time.monotonic(), name, value]) + "\n")


def watch(journal: Journal) -> None:
    """Let the health pages of this process, and its event loop, write to the journal."""
    count, gauge, ready, run = Health.count, Health.gauge, Health.ready, asyncio.Handle._run  # noqa: SLF001
    main_thread = threading.get_ident()

    def counted(self: Health, name: str, value: int = 1, **labels: str) -> None:
        count(self, name, value, **labels)
        journal.count(name, value)

    def gauged(self: Health, name: str, value: float, **labels: str) -> None:
        gauge(self, name, value, **labels)
        journal.gauge(name, value, labels)

    def readied(self: Health, reason: str | None) -> None:
        ready(self, reason)
        journal.write("ready", reason is None)
        journal.write("cpu", time.process_time())

    def stepped(self: Any) -> None:
        began = time.perf_counter()
        run(self)
        if threading.get_ident() == main_thread:
            journal.step(time.perf_counter() - began)

    Health.count, Health.gauge, Health.ready = counted, gauged, readied  # type: ignore[method-assign]
    asyncio.Handle._run = stepped  # type: ignore[method-assign] # noqa: SLF001


if __name__ == "__main__":
    watch(Journal(Path(sys.argv.pop(1))))
    main()
