"""The capacity model: what calls, series and partitions need, from what was measured of each stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.calls import PER_SECOND
from benchmarks.table import number

PANE_S: Final = 10
POINTS: Final = 1 / PANE_S + 4 / 60
"""Points of a series in a second: one a pane; at the end of each minute those of 1 m, 5 m, 1 h and 1 d."""
BUSY: Final = 0.5
"""The share of a core that a worker may use, so that it catches up after a restart and in rush hours."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is needed. cores and workers: of each stage. gb: memory of all. mb_s: MB/s on each topic."""

    cores: dict[str, float]
    workers: dict[str, int]
    gb: float
    mb_s: dict[str, float]
    points: float


class Model:
    """values: by the names of figures. Raises KeyError where one that is needed was not measured."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._combine, self._merge = values["combine-cpu-us"] / 1e6, values["merge-cpu-us"] / 1e6
        self._sink = 1 / values["sink-influx"]
        self._broker, self.cores = values["kafka-cpu-us"] / 1e6, values["cores"]
        self._entries, self._points = values["entries-a-call"], values["points-a-second"] / PER_SECOND
        self._call, self._entry = (
            values["calls-bytes-a-call"],
            values["partials-bytes-a-call"] / values["entries-a-call"],
        )
        self._point = values["point-bytes"]
        self._mb = {stage: values[f"{stage}-mb"] for stage in ("combine", "merge", "sink")}
        low, high = values["merge-mb-10000"], values["merge-mb-100000"]
        self._series_mb = max((high - low) / 90_000, 0.0)

    def end_to_end(self, count: int) -> float:
        """Calls a second with `count` workers a stage, on the machine that was measured, with the broker."""
        stages = (self._combine, self._merge * self._entries, self._sink * self._points)
        return min(count / max(stages), self.cores / (sum(stages) + self._broker))

    def need(self, rate: float, series: int, partitions: int) -> Need:
        """What `rate` calls a second need; series: of all views, active in every pane, on every partition."""
        entries = min(rate, series * partitions / PANE_S)
        points = series * POINTS
        cores = {"combine": rate * self._combine, "merge": entries * self._merge, "sink": points * self._sink}
        workers = {stage: max(1, math.ceil(used / BUSY)) for stage, used in cores.items()}
        mb = sum(self._mb[stage] * count for stage, count in workers.items()) + series * self._series_mb
        topics = {
            "calls": rate * self._call,
            "partials": entries * self._entry,
            "vitals": points * self._point,
        }
        return Need(cores, workers, mb / 1e3, {name: size / 1e6 for name, size in topics.items()}, points)


SITES: Final = (
    (1_000, 100, 4),
    (10_000, 1_000, 4),
    (50_000, 10_000, 8),
    (100_000, 10_000, 16),
    (10**6, 100_000, 64),
)
"""Calls a second, series, partitions."""


def needs(model: Model) -> Iterator[tuple[str, ...]]:
    """The rows of the table of sites."""
    for rate, series, partitions in SITES:
        need = model.need(rate, series, partitions)
        yield (
            f"{rate:,}",
            f"{series:,}",
            f"{partitions}",
            " + ".join(f"{count}" for count in need.workers.values()),
            " + ".join(number(used) for used in need.cores.values()),
            f"{need.gb:.1f}",
            " + ".join(number(size) for size in need.mb_s.values()),
            f"{need.points:,.0f}",
        )
