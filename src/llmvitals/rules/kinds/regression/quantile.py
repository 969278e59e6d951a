"""Compares a quantile with that of past hours by the number of calls beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmvitals.rules.condition.power import Changes
from llmvitals.rules.kinds.regression.gauge import Counted
from llmvitals.rules.kinds.regression.hours import middle
from llmvitals.rules.kinds.regression.samples import Columns, SketchBins
from llmvitals.sketch import quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.power import Traffic
    from llmvitals.rules.kinds.regression.gauge import Tally, Usual
    from llmvitals.rules.kinds.regression.hours import Rows
    from llmvitals.rules.kinds.regression.samples import Sample


@dataclass(frozen=True, slots=True)
class Edge(Counted):
    """A quantile: how many calls lie beyond the past's own, moved by the effect. `stat`: its bin.

    No more than 1 − q of the calls may lie above the quantile q, whatever their distribution is.
    """

    metric: Metric

    def sample(self, vitals: Vitals) -> Sample:
        """[calls], bins."""
        numbers, counts = quantiles.sketch_bins(vitals.bins, self.metric.sketch)
        bins = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
        return [sum(bins.values())], bins

    def minute(self, sample: Sample) -> Sample:
        """The sample, unchanged."""
        return sample

    def minutes(self, many: Sequence[Vitals]) -> Columns:
        """See Gauge."""
        bins = SketchBins.of(many, self.metric.sketch)
        return Columns([bins.added(bins.counts, len(many))], bins)

    def value(self, sample: Sample) -> float | None:
        """The quantile."""
        return self.metric.read(([0, 0, 0], 0, sample[1]), 0.0)

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """The quantile's bin, between two calls where it lies there.

        Of n calls in order, the k-th has (k - 1/3)/(n + 1/3) of all calls below it in the median, whatever
        their distribution is (Hyndman, Fan, "Sample quantiles in statistical packages", 1996, definition 8).
        The usual quantile is the median of the hours, so that of hours with few calls is right too. None with
        so few calls that the quantile is beyond them all.
        """
        calls = sample[0][0]
        rank = self.metric.q * (calls + 1 / 3) + 1 / 3
        if not 1 <= rank <= calls:
            return None
        numbers = sorted((int(key), count) for key, count in sample[1].items())
        below = np.cumsum([count for _, count in numbers])
        low, high = (
            numbers[int(np.searchsorted(below, place))][0] for place in (math.floor(rank), math.ceil(rank))
        )
        return low + (high - low) * (rank % 1), 0.0

    def usual(self, past: Rows, every: Rows) -> Usual:
        """The median of the hours' quantiles, each as often as it has calls."""
        del every
        edge, value = (middle(past, name) for name in ("stat", "value"))
        return {"value": value, "up": math.ceil(edge), "down": math.floor(edge)}

    def fair(self, sample: Sample, usual: Usual, effect: float) -> Sample:
        """As it is: a median is not moved by storms."""
        del usual, effect
        return sample

    def tally(self, sample: Sample, usual: Usual, side: Side, effect: float) -> Tally:
        """The calls beyond the quantile."""
        share, count = self._beyond(sample[1], usual, side, effect)
        return self.counted(sample[0][0], count, share, side="up")

    def changes(self, value: float, side: Side, effect: float) -> Changes:
        """Any: times and amounts have no greatest value."""
        del effect
        return Changes(value, math.inf if side == "up" else 1.0)

    def sees(self, traffic: Traffic, side: Side, effect: float, change: float) -> tuple[float, float]:
        """As if every value were larger, or smaller, by the change."""
        calls, bins = self.sample(traffic.vitals)
        edge = (self.row((calls, bins)) or (0.0, 0.0))[0]
        factor = max(1 + change, 1e-3)
        linear = self.metric.sketch in quantiles.LINEAR
        moved = edge / factor if linear else edge - math.log(factor) / math.log(quantiles.GAMMA)
        limit, count = self._beyond(bins, {str(side): moved}, side, effect)
        share = count / calls[0]
        return self.informed(calls[0] / traffic.days, limit, share) if share > limit else (0.0, 0.0)

    def _beyond(self, bins: Mapping[str, int], usual: Usual, side: Side, effect: float) -> tuple[float, int]:
        edge = usual[side]
        if self.metric.sketch in quantiles.LINEAR:
            move = math.ceil(edge * effect) if side == "up" else math.ceil(edge * effect / (1 + effect))
        else:
            move = math.ceil(math.log1p(effect) / math.log(quantiles.GAMMA))
        if side == "up":
            return 1 - self.metric.q, sum([n for key, n in bins.items() if int(key) > edge + move])
        return self.metric.q, sum([n for key, n in bins.items() if int(key) < edge - move])
