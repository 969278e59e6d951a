"""Compares a share of calls with that of past hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.rules.kinds.regression.gauge import RATIOS, beyond
from llmvitals.stats.shiryaev import odds

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Sample, Usual
    from llmvitals.rules.kinds.regression.hours import Rows

PRIOR: Final = 5.0
"""Prior: this many bad calls at the rate of all hours are added to those of the hour."""
LEAST: Final = 0.001
"""The least baseline of a rise, because an event without precedent may happen once.

From a lesser share nothing falls: an app without a cache has no hits to lose.
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of calls, against that of the same hours. `stat`: the calls that count."""

    metric: Metric

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, those that count]."""
        return [vitals.total(self.metric.under), sum(map(vitals.total, self.metric.over))], {}

    def minute(self, sample: Sample) -> Sample:
        """The sample, unchanged."""
        return sample

    def value(self, sample: Sample) -> float | None:
        """The share."""
        (calls, bad), _ = sample
        return bad / calls if calls else None

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """The calls that count."""
        return sample[0][1], 0.0

    def usual(self, past: Rows, every: Rows) -> Usual:
        """The share of these hours together, with a prior from every hour for rare bad calls.

        An hour far above the others is limited, so that an incident of last week does not become the
        baseline.
        """
        bad, calls = past["stat"].astype(float), past["calls"].astype(float)
        known, made = every["stat"].sum(dtype=float), every["calls"].sum(dtype=float)
        overall = (float(known) + 0.5) / (float(made) + 1.0)
        rest = (bad.sum() - bad + PRIOR) / (calls.sum() - calls + PRIOR / overall)
        most = calls * rest
        fair = np.minimum(bad, 1.5 * most + 3 * np.sqrt(most) + 3)
        share = (fair.sum() + PRIOR) / (calls.sum() + PRIOR / overall)
        return {"value": float(min(share, 1.0))}

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """By a binomial."""
        (calls, bad), _ = sample
        away = beyond(bad, calls, min(max(usual["value"], LEAST), 1 - LEAST))
        return away if side == "up" else -away

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """By a binomial; there is no evidence if the share can't grow or fall by the effect."""
        (calls, bad), _ = sample
        base = max(usual["value"], LEAST)
        limit = base * (1 + effect) if side == "up" else base / (1 + effect)
        if limit >= 1 - LEAST or (side == "down" and usual["value"] < LEAST):
            return [0.0] * len(RATIOS)
        ratios = RATIOS if side == "up" else tuple(1 / ratio for ratio in RATIOS)
        return odds(bad, int(calls), limit, ratios)
