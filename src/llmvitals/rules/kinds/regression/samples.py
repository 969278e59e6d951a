"""Samples of panes and minutes: one, or many as columns, which are added up where that is due."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.sketch import quantiles
from llmvitals.sketch.counters import SUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.metrics.metric import Metric
    from llmvitals.record.vitals import Vitals

Sample = tuple[list[float], dict[str, int]]
"""Sums (the first one is the calls that the metric is computed from) and bins. Plain data; added up."""
Ints = NDArray[np.int64]


def plus(left: Sample | None, right: Sample) -> Sample:
    """The sum."""
    if left is None:
        return list(right[0]), dict(right[1])
    bins = dict(left[1])
    for key, count in right[1].items():
        bins[key] = bins.get(key, 0) + count
    return [*map(add, left[0], right[0])], bins


@dataclass(frozen=True, slots=True)
class SketchBins:
    """The bins of one sketch of many minutes: the minute's place, number and count of each (m), in order."""

    places: Ints
    numbers: Ints
    counts: Ints

    @classmethod
    def of(cls, many: Sequence[Vitals], sketch: str) -> SketchBins:
        """The bins of a sketch."""
        sizes = [len(vitals.bins[0]) for vitals in many]
        keys = np.concatenate([vitals.bins[0] for vitals in many]).astype(np.int64)
        counts = np.concatenate([vitals.bins[1] for vitals in many])
        numbers = keys - quantiles.NUMBER[sketch] * quantiles.STRIDE
        mine = (numbers >= 0) & (numbers < quantiles.STRIDE)
        return cls(np.repeat(np.arange(len(many)), sizes)[mine], numbers[mine], counts[mine])

    def added(self, weights: Ints, length: int) -> list[int]:
        """The sum of weights (m) of each of the `length` minutes."""
        before = np.concatenate(([0], np.cumsum(weights)))[self.places.searchsorted(np.arange(length + 1))]
        sums: list[int] = np.diff(before).tolist()
        return sums

    def between(self, first: int, end: int) -> Iterable[tuple[int, int]]:
        """The numbers and counts of the minutes from `first` up to `end`."""
        low, high = self.places.searchsorted((first, end))
        return zip(self.numbers[low:high].tolist(), self.counts[low:high].tolist(), strict=True)


_KEYS: Final = tuple(map(str, range(quantiles.STRIDE)))
NO_SKETCH: Final = SketchBins(*(np.empty(0, np.int64) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class Columns:
    """What `Gauge.minute` makes of the samples of n minutes: a list (n) for each sum, and the bins."""

    sums: Sequence[Sequence[float]]
    bins: SketchBins = NO_SKETCH
    calls: list[float] = field(init=False)
    """The calls of all minutes before each one (n + 1)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", [0, *accumulate(self.sums[0])])

    def with_calls(self) -> tuple[list[int], Columns]:
        """The places of minutes with calls, and only these."""
        kept = [place for place, calls in enumerate(self.sums[0]) if calls]
        if len(kept) == len(self.sums[0]):
            return kept, self
        sums = [[column[place] for place in kept] for column in self.sums]
        bins = SketchBins(np.searchsorted(kept, self.bins.places), self.bins.numbers, self.bins.counts)
        return kept, Columns(sums, bins)

    def completes(self, first: int, calls: float) -> int:
        """The minute that adds the last of so many calls, from `first` on; n if there are fewer."""
        return bisect_left(self.calls, calls + self.calls[first], first + 1) - 1

    def added(self, before: Sample | None, first: int, end: int) -> Sample:
        """A sample and the minutes from `first` up to `end` together, added one after the other."""
        start, held = before or ([0] * len(self.sums), {})
        bins = dict(held)
        for number, count in self.bins.between(first, end) if len(self.bins.places) else ():
            key = _KEYS[number]
            bins[key] = bins.get(key, 0) + count
        # Not sum(), which rounds otherwise from Python 3.12 on.
        sums = zip(start, self.sums, strict=True)
        return [reduce(add, column[first:end], value) for value, column in sums], bins


def totals(metric: Metric, many: Sequence[Vitals]) -> tuple[list[int], list[int], list[int]]:
    """The sums of `Metric.sample` of each pane: calls, over, under."""
    if metric.score:
        samples = [metric.sample(vitals)[0] for vitals in many]
        calls, over, under = ([sample[place] for sample in samples] for place in range(3))
        return calls, over, under
    over = total(metric.over, many)
    if metric.less:
        over = [more - less for more, less in zip(over, total(metric.less, many), strict=True)]
    return total((metric.counted,), many), over, total((metric.under,) if metric.under else (), many)


def total(names: Sequence[str], many: Sequence[Vitals]) -> list[int]:
    """The sum of these counters.SUMS of each pane."""
    columns = [[vitals.sums[place] for vitals in many] for place in map(SUM.__getitem__, names)]
    if len(columns) == 1:
        return columns[0]
    return [sum(row) for row in zip(*columns, strict=True)] if columns else [0] * len(many)
