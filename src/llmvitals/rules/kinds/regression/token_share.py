"""Compares a share of tokens with that of past hours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.rules.kinds.regression.gauge import share_changes
from llmvitals.rules.kinds.regression.hours import middle
from llmvitals.rules.kinds.regression.mean import CLIPPED, FEW, HOURS_DIFFER, SHIFTS, Level
from llmvitals.rules.kinds.regression.samples import Columns, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.metrics.metric import Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.power import Changes, Traffic
    from llmvitals.rules.kinds.regression.gauge import Tally, Usual
    from llmvitals.rules.kinds.regression.hours import Rows
    from llmvitals.rules.kinds.regression.samples import Sample

LEAST: Final = 0.02
"""From a lesser share nothing falls, and a rise is measured from it: so little is hardly used."""
CALM: Final = 0.01
"""The least deviation of a token: a share that never varied is no proof of one that can't."""
UNEVEN: Final = 1.6
"""How much more a share of tokens varies than a share of calls; `sees` assumes that calls differ so much."""


@dataclass(frozen=True, slots=True)
class TokenShare(Level):
    """A ratio of sums, such as cached tokens to input tokens. `stat`: the ratio; `spread`: its variance.

    Tokens come in calls, all of a call alike, so they are no trials. The variance of Σ over, given Σ under,
    is taken to grow with Σ under, and is estimated from minutes by weighted least squares (the ratio
    estimator: Cochran, *Sampling Techniques*, 1977, chapter 6).
    """

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, over, under]."""
        (counted, over, under), _, _ = self.metric.sample(vitals)
        return [counted if under else 0, over, under], {}

    def minute(self, sample: Sample) -> Sample:
        """Add over²/under, and a count of one minute."""
        _, over, under = sample[0][:3]
        return [*sample[0], over * over / under if under else 0.0, 1 if under else 0], {}

    def minutes(self, many: Sequence[Vitals]) -> Columns:
        """See Gauge."""
        calls, over, under = totals(self.metric, many)
        calls = [count if tokens else 0 for count, tokens in zip(calls, under, strict=True)]
        squares = [part * part / tokens if tokens else 0.0 for part, tokens in zip(over, under, strict=True)]
        return Columns([calls, over, under, squares, [1 if tokens else 0 for tokens in under]])

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
        """Medians of the hours, each as often as it has calls."""
        del every
        return {"value": middle(past, "stat"), "spread": max(middle(past, "spread"), CALM**2)}

    def tally(self, sample: Sample, usual: Usual, side: Side, effect: float) -> Tally:
        """As that of Level; a fall from nearly nothing is none."""
        calls, over, under = sample[0][:3]
        if not under or (side == "down" and usual["value"] < LEAST):
            return [0.0, 0.0]
        base = max(usual["value"], LEAST)
        each = under / calls
        deviation = math.sqrt(usual["spread"] * each)
        margin = _margin(base, side, effect) * each / deviation
        away = (over / under - base) * each / deviation
        most = margin + max(CLIPPED / math.sqrt(calls), 0.5)
        return [calls * (min(away if side == "up" else -away, most) - margin), calls]

    def changes(self, value: float, side: Side, effect: float) -> Changes:
        """Up to a share of 1; none that `tally` leaves out."""
        return share_changes(value, side, effect, LEAST)

    def sees(self, traffic: Traffic, side: Side, effect: float, change: float) -> tuple[float, float]:
        """By the normal law, as if calls had all of their tokens in the share or none."""
        sample = self.sample(traffic.vitals)
        calls, base = sample[0][0] / traffic.days, max(self.value(sample) or 0.0, LEAST)
        if not calls or base >= 1:
            return 0.0, 0.0
        away = abs(change) * base - _margin(base, side, effect)
        shift = min(max(away / (UNEVEN * math.sqrt(base * (1 - base))), 0.0), SHIFTS[-1])
        blocks = min(calls / FEW, 24.0)
        return blocks, shift**2 / 2 / (blocks / calls + HOURS_DIFFER**2)


def _margin(base: float, side: Side, effect: float) -> float:
    """By how much a share may move without being a change."""
    return base * effect if side == "up" else base * effect / (1 + effect)
