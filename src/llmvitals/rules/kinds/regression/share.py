"""Compares a share of calls with that of past hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.rules.kinds.regression.gauge import Counted, share_changes
from llmvitals.rules.kinds.regression.samples import Columns, total
from llmvitals.stats import counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.metrics.metric import Metric, Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.power import Changes, Traffic
    from llmvitals.rules.kinds.regression.gauge import Tally, Usual
    from llmvitals.rules.kinds.regression.hours import Rows
    from llmvitals.rules.kinds.regression.samples import Sample

PRIOR: Final = 5.0
"""Prior: this many bad calls at the rate of all hours are added to those of the hour."""
LEAST: Final = 0.001
"""The least baseline of a rise, because an event without precedent may happen once.

From a lesser share nothing falls: an app without a cache has no hits to lose.
"""


@dataclass(frozen=True, slots=True)
class Share(Counted):
    """A share of calls, against that of the same hours. `stat`: the calls that count."""

    metric: Metric

    def sample(self, vitals: Vitals) -> Sample:
        """[calls, those that count]."""
        return [vitals.total(self.metric.under), sum(map(vitals.total, self.metric.over))], {}

    def minute(self, sample: Sample) -> Sample:
        """The sample, unchanged."""
        return sample

    def minutes(self, many: Sequence[Vitals]) -> Columns:
        """See Gauge."""
        return Columns([total((self.metric.under,), many), total(self.metric.over, many)])

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

    def fair(self, sample: Sample, usual: Usual, effect: float) -> Sample:
        """At most as many calls count as chance brings where the share has grown by the effect."""
        calls, bad = sample[0]
        most = counts.highest(calls * min(max(usual["value"], LEAST) * (1 + effect), 1.0))
        return [calls, min(bad, most)], {}

    def tally(self, sample: Sample, usual: Usual, side: Side, effect: float) -> Tally:
        """Nothing if the share can't grow or fall by the effect."""
        calls, bad = sample[0]
        base = max(usual["value"], LEAST)
        limit = base * (1 + effect) if side == "up" else base / (1 + effect)
        if limit >= 1 - LEAST or (side == "down" and usual["value"] < LEAST):
            return [0.0] * 4
        return self.counted(calls, bad, limit, side)

    def changes(self, value: float, side: Side, effect: float) -> Changes:
        """Up to a share of 1; none that `tally` leaves out."""
        return share_changes(value, side, effect, LEAST)

    def sees(self, traffic: Traffic, side: Side, effect: float, change: float) -> tuple[float, float]:
        """Calls that count more, or less, often."""
        calls, bad = self.sample(traffic.vitals)[0]
        base = max(bad / calls, LEAST)
        share = min(base * (1 + change), 1.0)
        limit = base * (1 + effect) if side == "up" else base / (1 + effect)
        if (share - limit) * (1 if side == "up" else -1) <= 0:
            return 0.0, 0.0
        return self.informed(calls / traffic.days, limit, share)
