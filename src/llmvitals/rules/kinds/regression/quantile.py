"""Compares a quantile with that of past hours by the number of calls beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from llmvitals.rules.kinds.regression.gauge import RATIOS, beyond
from llmvitals.sketch import quantiles
from llmvitals.stats.shiryaev import odds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Sample, Usual
    from llmvitals.rules.kinds.regression.hours import Rows


@dataclass(frozen=True, slots=True)
class Edge:
    """A quantile: how many calls lie beyond the past's own, moved by the effect. `stat`: its bin.

    No more than 1 − q of the calls may lie above the quantile q, whatever their distribution is.
    """

    metric: Metric

    def sample(self, vitals: Vitals) -> Sample:
        """[calls], bins."""
        numbers, counts = quantiles.sketch_bins(vitals.bins, self.metric.sketch)
        bins = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
        return [int(counts.sum())], bins

    def minute(self, sample: Sample) -> Sample:
        """The sample, unchanged."""
        return sample

    def value(self, sample: Sample) -> float | None:
        """The quantile."""
        return self.metric.read(([0, 0, 0], 0, sample[1]), 0.0)

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """The quantile's bin."""
        rank, seen = int(self.metric.q * (sample[0][0] - 1)), 0
        for number, count in sorted((int(key), count) for key, count in sample[1].items()):
            seen += count
            if seen > rank:
                return number, 0.0
        return None

    def usual(self, past: Rows, every: Rows) -> Usual:
        """The median of the hours' quantiles."""
        del every
        edge = median(past["stat"].tolist())
        value = float(median(past["value"].tolist()))
        return {"value": value, "up": math.ceil(edge), "down": math.floor(edge)}

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """By the calls beyond the quantile itself."""
        share, count = self._beyond(sample[1], usual, side, 0.0)
        return beyond(count, sample[0][0], share)

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """By a binomial."""
        share, count = self._beyond(sample[1], usual, side, effect)
        return odds(count, int(sample[0][0]), share, RATIOS)

    def _beyond(self, bins: Mapping[str, int], usual: Usual, side: Side, effect: float) -> tuple[float, int]:
        edge = usual[side]
        if self.metric.sketch in quantiles.LINEAR:
            move = math.ceil(edge * effect) if side == "up" else math.ceil(edge * effect / (1 + effect))
        else:
            move = math.ceil(math.log1p(effect) / math.log(quantiles.GAMMA))
        if side == "up":
            return 1 - self.metric.q, sum(n for key, n in bins.items() if int(key) > edge + move)
        return self.metric.q, sum(n for key, n in bins.items() if int(key) < edge - move)
