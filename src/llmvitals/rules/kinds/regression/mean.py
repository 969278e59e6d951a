"""Compares a mean with that of past hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from llmvitals.rules.condition.power import Changes
from llmvitals.rules.kinds.regression.hours import middle
from llmvitals.rules.kinds.regression.samples import Columns, SketchBins, total, totals
from llmvitals.sketch import quantiles
from llmvitals.sketch.counters import LOG_UNIT
from llmvitals.sketch.scores import MICRO, NO_SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.power import Traffic
    from llmvitals.rules.kinds.regression.gauge import Tally, Usual
    from llmvitals.rules.kinds.regression.hours import Rows
    from llmvitals.rules.kinds.regression.samples import Sample

SHIFTS: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""The tested shifts, in standard deviations of a call."""
NOISES: Final = (0.02, 0.05, 0.15, 0.4)
"""The standard deviation of an hour's own mean, in those of a call."""
CONSTANT: Final = 0.001
"""The assumed variance of a score that never varied, since a value without precedent may occur once."""
CLIPPED: Final = 3.1
"""A short part counts for at most this many standard deviations of its mean, or half of one of a call."""
SPREAD: Final = 0.25
HOURS_DIFFER: Final = 0.1
"""The standard deviation of hours' means that `sees` assumes, in those of a call."""
FEW: Final = 30
"""The calls of a block that `sees` assumes, at least."""
_SHIFT: Final = np.repeat(SHIFTS, len(NOISES))
_NOISE: Final = np.tile(NOISES, len(SHIFTS))


@dataclass(frozen=True, slots=True)
class Level:
    """A mean, by the normal law of its minutes. `stat`: the mean of what is added; `spread`: its variance.

    sketch: compare the logarithms of its values (without zeros), so that one call with a thousandfold value
    is no change. logs: compare this total of logarithms. Neither: compare the metric's own sum.
    """

    metric: Metric
    sketch: str = ""
    logs: str = ""
    noises: ClassVar[int] = len(NOISES)

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, sum of what is compared, over, under of the metric]."""
        (counted, over, under), _, _ = self.metric.sample(vitals)
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            zeros = int(len(numbers) > 0 and numbers[0] == 0)
            calls, total = int(np.add.reduce(counts[zeros:])), int(counts.dot(numbers))
            return [calls, total, over, under], {}
        total = vitals.total(self.logs) if self.logs else over
        return [counted, total, over, under], {}

    def minute(self, sample: Sample) -> Sample:
        """Add the square, and a count of one minute."""
        calls, total = sample[0][0], sample[0][1]
        return [*sample[0], total * total / calls if calls else 0.0, 1 if calls else 0], {}

    def minutes(self, many: Sequence[Vitals]) -> Columns:
        """See Gauge."""
        calls, over, under = totals(self.metric, many)
        sums = total((self.logs,), many) if self.logs else over
        if self.sketch:
            bins = SketchBins.of(many, self.sketch)
            calls = bins.added(bins.counts * (bins.numbers > 0), len(many))
            sums = bins.added(bins.counts * bins.numbers, len(many))
        squares = [one * one / count if count else 0.0 for count, one in zip(calls, sums, strict=True)]
        return Columns([calls, sums, over, under, squares, [1 if count else 0 for count in calls]])

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
        """Medians of the hours, each as often as it has calls."""
        del every
        mean, value, spread = (middle(past, name) for name in ("stat", "value", "spread"))
        floor = (0.01 if self._log else 0.01 * max(abs(mean), 0.01)) ** 2
        if not self._log and spread <= floor:
            spread = max(floor, CONSTANT)
        return {"value": value, "mean": mean, "spread": max(spread, floor)}

    def fair(self, sample: Sample, usual: Usual, effect: float) -> Sample:
        """As it is: a median is not moved by storms."""
        del usual, effect
        return sample

    def tally(self, sample: Sample, usual: Usual, side: Side, effect: float) -> Tally:
        """[sum of the deviations beyond the effect in standard deviations of a call, calls]."""
        calls, total = sample[0][:2]
        deviation = math.sqrt(usual["spread"])
        margin = (math.log1p(effect) if self._log else effect * abs(usual["mean"])) / deviation
        away = (total * self._unit / calls - usual["mean"]) / deviation
        most = margin + max(CLIPPED / math.sqrt(calls), 0.5)
        return [calls * (min(away if side == "up" else -away, most) - margin), calls]

    def evidence(self, tally: Tally) -> NDArray[np.float64]:
        """By the normal law."""
        total, calls = tally
        if not calls:
            return np.zeros(len(_SHIFT))
        found: NDArray[np.float64] = (total / calls * _SHIFT - _SHIFT**2 / 2) / (1 / calls + _NOISE**2)
        return found

    def lean(self, tally: Tally) -> float:
        """Against half of the least shift."""
        return tally[0] - tally[1] * SHIFTS[0] / 2

    def enough(self, tally: Tally) -> bool:
        """Every call says something."""
        return tally[1] > 0

    def changes(self, value: float, side: Side, effect: float) -> Changes:
        """Any share of a value other than 0."""
        del effect
        if not value:
            return Changes(value, 0.0, "usually 0, of which no share can be said")
        return Changes(value, math.inf if side == "up" else 1.0)

    def sees(self, traffic: Traffic, side: Side, effect: float, change: float) -> tuple[float, float]:
        """By the normal law. A metric without squares is taken to vary by SPREAD, a logarithm by 1."""
        del side
        sample = self.sample(traffic.vitals)
        calls, value = sample[0][0] / traffic.days, self.value(sample) or 0.0
        if self._log:
            moved = abs(math.log1p(max(change, -0.999)))
            away = (moved - math.log1p(effect)) / self._deviation(traffic.vitals, value)
        else:
            away = (abs(change) - effect) * abs(value) / self._deviation(traffic.vitals, value)
        shift = min(max(away, 0.0), SHIFTS[-1])
        blocks = min(calls / FEW, 24.0)
        return blocks, shift**2 / 2 / (blocks / calls + HOURS_DIFFER**2)

    def _deviation(self, vitals: Vitals, value: float) -> float:
        """The standard deviation of what is compared of a call."""
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            numbers, counts = numbers[numbers > 0], counts[numbers > 0]
            mean = float(np.average(numbers, weights=counts))
            variance = float(np.average((numbers - mean) ** 2, weights=counts))
            return max(math.sqrt(variance) * math.log(quantiles.GAMMA), 0.01)
        if self.logs:
            return 1.0
        count, _, squares = vitals.scores.get(self.metric.score, NO_SCORE)
        rest = squares / MICRO / count - value**2 if count and squares else 0.0
        return math.sqrt(rest) if rest > 0 else SPREAD

    @property
    def _log(self) -> bool:
        return bool(self.sketch or self.logs)

    @property
    def _unit(self) -> float:
        if self.sketch:
            return math.log(quantiles.GAMMA)
        return LOG_UNIT if self.logs else 1 / (self.metric.per if self.metric.per != 1 else MICRO)
