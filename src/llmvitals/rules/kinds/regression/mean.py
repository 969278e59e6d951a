"""Compares a mean with that of past hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from llmvitals.sketch import quantiles
from llmvitals.sketch.counters import LOG_UNIT
from llmvitals.sketch.scores import MICRO

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Sample, Usual
    from llmvitals.rules.kinds.regression.hours import Rows

SHIFTS: Final = (0.05, 0.1, 0.2, 0.5)
"""The tested shifts, in standard deviations of a call; the normal law is too rough for greater ones."""
CONSTANT: Final = 0.001
"""The assumed variance of a score that never varied, since a value without precedent may occur once."""
CLIPPED: Final = 4.0
"""A minute counts for at most this many standard deviations of its mean: one odd call is no change."""


@dataclass(frozen=True, slots=True)
class Level:
    """A mean, by the normal law of its minutes. `stat`: the mean of what is added; `spread`: its variance.

    sketch: compare the logarithms of its values (without zeros), so that one call with a thousandfold value
    is no change. logs: compare this total of logarithms. Neither: compare the metric's own sum.
    """

    metric: Metric
    sketch: str = ""
    logs: str = ""

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, sum of what is compared, over, under of the metric]."""
        (counted, over, under), _, _ = self.metric.sample(vitals)
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            counts = counts * (numbers > 0)
            return [int(counts.sum()), int((counts * numbers).sum()), over, under], {}
        total = vitals.total(self.logs) if self.logs else over
        return [counted, total, over, under], {}

    def minute(self, sample: Sample) -> Sample:
        """Add the square, and a count of one minute."""
        calls, total = sample[0][0], sample[0][1]
        return [*sample[0], total * total / calls if calls else 0.0, 1 if calls else 0], {}

    def value(self, sample: Sample) -> float | None:
        """The mean."""
        _, _, over, under = sample[0][:4]
        return over / (under * self.metric.per) if under else None

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """The mean, and the variance of a call, estimated from minutes."""
        calls, total, _, _, squares, minutes = sample[0]
        if minutes < 3:
            return None
        spread = max(0.0, squares - total * total / calls) / (minutes - 1)
        return total / calls * self._unit, spread * self._unit**2

    def usual(self, past: Rows, every: Rows) -> Usual:
        """Medians of the hours."""
        del every
        mean, value = (float(median(past[name].tolist())) for name in ("stat", "value"))
        floor = (0.01 if self._log else 0.01 * max(abs(mean), 0.01)) ** 2
        spread = float(median(past["spread"].tolist()))
        if not self._log and spread <= floor:
            spread = max(floor, CONSTANT)
        return {"value": value, "mean": mean, "spread": max(spread, floor)}

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """By the normal law."""
        calls, total = sample[0][:2]
        away = (total * self._unit - calls * usual["mean"]) / math.sqrt(calls * usual["spread"])
        return away if side == "up" else -away

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """By the normal law."""
        calls, total = sample[0][:2]
        margin = math.log1p(effect) if self._log else effect * abs(usual["mean"])
        away = total * self._unit - calls * usual["mean"]
        beyond = ((away if side == "up" else -away) - calls * margin) / math.sqrt(usual["spread"])
        beyond = min(beyond, CLIPPED * math.sqrt(calls))
        return [shift * beyond - calls * shift * shift / 2 for shift in SHIFTS]

    @property
    def _log(self) -> bool:
        return bool(self.sketch or self.logs)

    @property
    def _unit(self) -> float:
        if self.sketch:
            return math.log(quantiles.GAMMA)
        return LOG_UNIT if self.logs else 1 / (self.metric.per if self.metric.per != 1 else MICRO)
