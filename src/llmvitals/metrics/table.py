"""Many metrics of many rows at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.record.vitals import TOPS
from llmvitals.sketch.counters import MAX, SUM, SUMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmvitals.metrics.metric import Metric
    from llmvitals.record.rows import Rows

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_EXACT: Final = 2**53
"""Smaller integers are floats without rounding."""
_CALLS: Final = SUM["calls"]


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Metrics that are no rates and of no score.

    Law: a value is the one of `Metric.of`, Vitals.top or Vitals.quantile of the row, NaN for none.
    """

    fields: list[str]
    values: list[Metric]
    maxima: list[Metric]
    percentiles: list[Metric]
    terms: list[tuple[int, int, int]]
    """What dividends have beside their first sum: the place in values, 1 or −1, and the place in SUMS."""
    tops: list[int]
    """For each percentile the place of its sketch in TOPS; −1 for none."""

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> MetricTable:
        """The table of these metrics. Its fields are in the order of values, maxima and percentiles."""
        values = [metric for metric in metrics if not (metric.sketch or metric.top)]
        maxima = [metric for metric in metrics if metric.top]
        percentiles = [metric for metric in metrics if metric.sketch]
        terms = [
            (place, sign, SUM[name])
            for place, metric in enumerate(values)
            for sign, names in ((1, metric.over[1:]), (-1, metric.less))
            for name in names
        ]
        fields = [metric.field for metric in (*values, *maxima, *percentiles)]
        sketches = list(TOPS)
        tops = [sketches.index(metric.sketch) if metric.sketch in TOPS else -1 for metric in percentiles]
        return cls(fields, values, maxima, percentiles, terms, tops)

    def read(self, rows: Rows) -> Floats:
        """A row for each, a column for each field."""
        tops = _maxima(rows, [*TOPS.values(), *((each.top, each.counted, each.per) for each in self.maxima)])
        table = rows.bins.quantiles([(metric.sketch, metric.q) for metric in self.percentiles])
        with_top = np.array([top >= 0 for top in self.tops], np.bool_)
        bounds = tops[:, np.array(self.tops, np.int64)[with_top]]
        bounded = table[:, with_top]
        table[:, with_top] = np.where(bounded > bounds, bounds, bounded)
        return np.concatenate((self._values(rows.sums), tops[:, len(TOPS) :], table), axis=1)

    def _values(self, sums: Ints) -> Floats:
        over = sums[:, [SUM[metric.over[0]] for metric in self.values]]
        for place, sign, name in self.terms:
            over[:, place] += sign * sums[:, name]
        under = sums[:, [SUM[metric.under] if metric.under else _CALLS for metric in self.values]]
        under[:, [not metric.under for metric in self.values]] = 1
        per = np.array([metric.per for metric in self.values], float)
        exact = (abs(over) < _EXACT) & (abs(under) < _EXACT / per)
        values: Floats = np.full(over.shape, math.nan)
        known = exact & (under != 0)
        np.divide(over.astype(float), under.astype(float) * per, out=values, where=known)
        for row, column in zip(*np.nonzero(~exact), strict=True):
            totals = dict(zip(SUMS, sums[row].tolist(), strict=True))
            value = self.values[column].of(totals.__getitem__)
            values[row, column] = math.nan if value is None else value
        return values


def _maxima(rows: Rows, wanted: Sequence[tuple[str, str, float]]) -> Floats:
    """Maxima in their units; NaN without calls. wanted: maximum, the sum of its calls, its units in one."""
    units = np.array([per for _, _, per in wanted], float)
    values: Floats = rows.maxima[:, [MAX[name] for name, _, _ in wanted]].astype(float) / units
    values[rows.sums[:, [SUM[counted] for _, counted, _ in wanted]] == 0] = math.nan
    return values
