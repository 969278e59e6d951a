"""Turns panes into metrics of minutes, scaled so that the noise does not depend on the level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.metrics.registry import METRICS, metric_of
from llmvitals.sketch import quantiles
from llmvitals.sketch.counters import SUM
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Marks = NDArray[np.bool_]

ALL: Final = tuple(name for name, metric in METRICS.items() if metric.watched)
"""The metrics of a rule that names none, beside the mean of each score."""
SCORE: Final = "score.{}_mean"
LONGEST: Final = 60
"""The most minutes of a row."""
CHANGING: Final = tuple(name for name, metric in METRICS.items() if not (metric.top or metric.additive))
"""The metrics that a rule may name: those whose value does not depend on the number of calls."""


def changing(name: Any) -> None:
    """Check that a metric is one of those. Raises ValueError."""
    if not metric_of(name).score and name not in CHANGING:
        raise ValueError(f"{name} depends on the number of calls: write a share, mean or percentile")


@lru_cache(maxsize=1_024)
def counted(name: str) -> bool:
    """Whether a metric is a share of calls, not of tokens or money."""
    return metric_of(name).unit == "share" and metric_of(name).compared == "share"


@lru_cache(maxsize=1_024)
def units(names: tuple[str, ...]) -> tuple[Marks, Marks]:
    """Which of m metrics are shares, and which are scores: of each a bool. Of all others the ratios count."""
    of_names = [metric_of(name).unit for name in names]
    return np.array([unit == "share" for unit in of_names], bool), np.array(
        [unit == "score" for unit in of_names], bool
    )


def scaled(kinds: tuple[Marks, Marks], values: Floats) -> Floats:
    """Values → the numbers that are compared: the arc sine of a share's root, a logarithm; scores stay.

    kinds: see `units`; values: m columns. Where there is no logarithm, NaN.

    >>> scaled(units(("latency_p95", "error_share")), np.array([1.0, 0.0])).tolist()
    [0.0, 0.0]
    """
    share, score = kinds
    shares = np.arcsin(np.sqrt(np.clip(values, 0, 1)))
    logs = np.log(np.where(values > 0, values, np.nan))
    return np.where(share, shares, np.where(score, values, logs))


def value(kinds: tuple[Marks, Marks], numbers: Floats) -> Floats:
    """The inverse of `scaled`."""
    share, score = kinds
    # No logarithm is that large, but the scores in the same array may be.
    powers = np.exp(np.clip(numbers, -700, 700))
    return np.where(share, np.sin(numbers) ** 2, np.where(score, numbers, powers))


def margin(kinds: tuple[Marks, Marks], numbers: Floats) -> Floats:
    """The least relevant change of m scaled numbers, in the same units.

    It is a tenth of the value; for a share 0.01, for a score a twentieth.
    """
    share, score = kinds
    was = value(kinds, numbers)
    least = np.maximum(np.abs(was) * np.where(score, 0.05, 0.1), np.where(share, 0.01, 0.0))
    to = np.where(share & (was + least > 1), was - least, was + least)
    margins: Floats = np.abs(scaled(kinds, to) - numbers)
    return margins


@dataclass(frozen=True)
class Minutes:
    """names: the metrics; () for ALL and every score. few: calls that a minute needs. pane: µs."""

    names: tuple[str, ...]
    few: int
    pane: int

    def packed(self, pane: int, vitals: Vitals) -> list[Any]:
        """The part of a pane that is kept, plain data."""
        keys, counts = vitals.bins
        reported = keys.tobytes(), counts.tobytes()
        scores = {name: [sums[0], sums[1]] for name, sums in vitals.scores.items()}
        return [pane, [vitals.sums[place] for place in self._needed], *reported, scores]

    def rows(self, panes: list[list[Any]]) -> tuple[list[list[list[Any]]], list[list[Any]]]:
        """Panes in order, which end with a minute → those of each row, and those that wait for more calls.

        A row is a minute, or as many in a row as have `few` calls together; those that have not within
        LONGEST are left out.
        """
        found, row = [], list[list[Any]]()
        for minute, some in groupby(panes, self._minute):
            if row and minute - self._minute(row[0]) >= LONGEST:
                row = []
            row = [*row, *some]
            if self._calls(row) >= self.few:
                found.append(row)
                row = []
        return found, row

    def _minute(self, entry: list[Any]) -> int:
        minute: int = entry[0] * self.pane // MINUTE
        return minute

    def _calls(self, panes: list[list[Any]]) -> int:
        """The calls of panes, or the most of a score: evaluations may come without calls."""
        place, scored = self._needed.index(SUM["calls"]), dict[str, int]()
        for entry in panes:
            for name, (count, _) in entry[4].items():
                scored[name] = scored.get(name, 0) + count
        calls: int = sum([entry[1][place] for entry in panes])
        return max(calls, *scored.values(), 0)

    def calls(self, rows: list[list[list[Any]]]) -> list[int]:
        """The calls of each row."""
        return [self._calls(row) for row in rows]

    def read(self, rows: list[list[list[Any]]]) -> tuple[list[int], list[str], Floats]:
        """The first minutes of n rows, one at least; m metrics; n × m numbers, NaN where there is none."""
        panes = [entry for row in rows for entry in row]
        lengths = [len(row) for row in rows]
        row = np.repeat(np.arange(len(rows)), lengths)
        starts: Places = np.cumsum([0, *lengths[:-1]])
        minutes = np.array([self._minute(row[0]) for row in rows])
        sums = np.array([entry[1] for entry in panes], np.float64)
        columns = [self._ratios(np.add.reduceat(sums, starts, axis=0))]
        if self._of_bins:
            columns.append(self._quantiles(panes, row, len(starts)))
        scores, means = self._scores(panes, row.tolist(), len(starts))
        numbers = np.concatenate((scaled(self._kinds, np.concatenate(columns, axis=1)), means), axis=1)
        return minutes.tolist(), [*self._fixed, *scores], numbers

    def _ratios(self, sums: Floats) -> Floats:
        over = sums @ self._over
        under, counted = sums[:, self._under], sums[:, self._counted]
        known = (under > 0) & (counted >= self.few)
        return np.where(known, over / np.where(known, under * self._per, 1), np.nan)

    def _quantiles(self, panes: list[list[Any]], row: Places, many: int) -> Floats:
        """row: which of the minutes each pane is in. Ranks need the bins in order, but not merged."""
        keys = np.frombuffer(b"".join([entry[2] for entry in panes]), np.uint16)
        counts = np.frombuffer(b"".join([entry[3] for entry in panes]), np.int64)
        rows = np.repeat(row, [len(entry[2]) // keys.itemsize for entry in panes])
        order = np.argsort(rows * 2**16 + keys, kind="stable")
        keys, counts, rows = keys[order], counts[order], rows[order]
        ends = np.searchsorted(rows, np.arange(many + 1)).tolist()
        bins = [(keys[low:high], counts[low:high]) for low, high in pairwise(ends)]
        table = quantiles.read(bins, [(sketch, q) for _, sketch, q in self._of_bins])
        width = len(quantiles.SKETCHES)
        calls = np.bincount(rows * width + keys // quantiles.STRIDE, counts, many * width).reshape(
            many, width
        )
        return np.where(calls[:, self._sketches] >= self.few, table, np.nan)

    def _scores(self, panes: list[list[Any]], row: list[int], many: int) -> tuple[list[str], Floats]:
        sums: dict[str, list[list[int]]] = {}
        for entry, place in zip(panes, row, strict=True):
            for name, (count, total) in entry[4].items():
                previous = sums.setdefault(SCORE.format(name), [[0, 0] for _ in range(many)])[place]
                previous[0] += count
                previous[1] += total
        names = [name for name in sums if not self.names or name in self.names]
        means = np.full((many, len(names)), np.nan)
        for column, name in enumerate(names):
            for place, (count, total) in enumerate(sums[name]):
                if count >= self.few:
                    means[place, column] = total / count / 1e6
        return names, means

    @cached_property
    def _fixed(self) -> list[str]:
        return [*self._of_sums, *(name for name, _, _ in self._of_bins)]

    @cached_property
    def _kinds(self) -> tuple[Marks, Marks]:
        return units(tuple(self._fixed))

    @cached_property
    def _sketches(self) -> list[int]:
        return [quantiles.NUMBER[sketch] for _, sketch, _ in self._of_bins]

    @cached_property
    def _of_sums(self) -> list[str]:
        return [name for name in self.names or ALL if name in METRICS and not METRICS[name].sketch]

    @cached_property
    def _of_bins(self) -> list[tuple[str, str, float]]:
        found = [(name, METRICS[name]) for name in self.names or ALL if name in METRICS]
        return [(name, metric.sketch, metric.q) for name, metric in found if metric.sketch]

    @cached_property
    def _needed(self) -> list[int]:
        metrics = [METRICS[name] for name in self._of_sums]
        names = {
            name for metric in metrics for name in (*metric.over, *metric.less, metric.under, metric.counted)
        }
        return sorted(SUM[name] for name in names | {"calls"})

    @cached_property
    def _over(self) -> Floats:
        table = np.zeros((len(self._needed), len(self._of_sums)))
        for column, name in enumerate(self._of_sums):
            for sign, some in ((1, METRICS[name].over), (-1, METRICS[name].less)):
                for summed in some:
                    table[self._needed.index(SUM[summed]), column] += sign
        return table

    @cached_property
    def _under(self) -> list[int]:
        return [self._needed.index(SUM[METRICS[name].under]) for name in self._of_sums]

    @cached_property
    def _counted(self) -> list[int]:
        return [self._needed.index(SUM[METRICS[name].counted]) for name in self._of_sums]

    @cached_property
    def _per(self) -> Floats:
        return np.array([METRICS[name].per for name in self._of_sums], np.float64)
