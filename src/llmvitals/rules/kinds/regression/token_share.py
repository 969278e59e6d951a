"""Compares a share of tokens with that of past hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from llmvitals.rules.kinds.regression.mean import CLIPPED, SHIFTS

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Sample, Usual
    from llmvitals.rules.kinds.regression.hours import Rows

LEAST: Final = 0.02
"""From a lesser share nothing falls, and a rise is measured from it: so little is hardly used."""
CALM: Final = 0.01
"""The least deviation of a token: a share that never varied is no proof of one that can't."""


@dataclass(frozen=True, slots=True)
class TokenShare:
    """A ratio of sums, such as cached tokens to input tokens. `stat`: the ratio; `spread`: its variance.

    Tokens come in calls, all of a call alike, so they are no trials. The variance of Σ over, given Σ under,
    is taken to grow with Σ under, and is estimated from minutes by weighted least squares (the ratio
    estimator: Cochran, *Sampling Techniques*, 1977, chapter 6).
    """

    metric: Metric

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, over, under]."""
        (counted, over, under), _, _ = self.metric.sample(vitals)
        return [counted if under else 0, over, under], {}

    def minute(self, sample: Sample) -> Sample:
        """Add over²/under, and a count of one minute."""
        _, over, under = sample[0][:3]
        return [*sample[0], over * over / under if under else 0.0, 1 if under else 0], {}

    def value(self, sample: Sample) -> float | None:
        """The ratio."""
        _, over, under = sample[0][:3]
        return over / under if under else None

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """The ratio, and the variance for each token of `under`."""
        _, over, under, squares, minutes = sample[0]
        if minutes < 3:
            return None
        return over / under, max(0.0, squares - over * over / under) / (minutes - 1)

    def usual(self, past: Rows, every: Rows) -> Usual:
        """Medians of the hours."""
        del every
        value, spread = (float(median(past[name].tolist())) for name in ("stat", "spread"))
        return {"value": value, "spread": max(spread, CALM**2)}

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """By the normal law."""
        _, over, under = sample[0][:3]
        away = (over - under * usual["value"]) / math.sqrt(under * usual["spread"])
        return away if side == "up" else -away

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """By the normal law; there is no evidence of a fall from nearly nothing."""
        calls, over, under = sample[0][:3]
        base = max(usual["value"], LEAST)
        if not under or (side == "down" and usual["value"] < LEAST):
            return [0.0] * len(SHIFTS)
        limit = base * (1 + effect) if side == "up" else base / (1 + effect)
        away = over - under * limit if side == "up" else under * limit - over
        beyond = away / math.sqrt(usual["spread"] * under / calls)
        beyond = min(beyond, CLIPPED * math.sqrt(calls))
        return [shift * beyond - calls * shift * shift / 2 for shift in SHIFTS]
