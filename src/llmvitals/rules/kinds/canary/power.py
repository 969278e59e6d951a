"""The smallest worsening that a canary rule would find at the calls of a series, if it had a canary.

It takes a tenth of the calls to be the canary's, and calls to be independent. Of a canary that is there
`llmvitals canary show` knows both. Source: see eprocess.smallest_ratio.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.metrics.registry import CANARY
from llmvitals.rules.condition.power import DAYS, Changes, Power, rise
from llmvitals.rules.kinds.canary.endpoints import RATES, ROWS
from llmvitals.sketch.counters import SUM
from llmvitals.stats import eprocess

if TYPE_CHECKING:
    from llmvitals.rules.condition.power import Traffic
    from llmvitals.rules.kinds.canary.hypotheses import Hypotheses

SHARE: Final = 0.1
"""The canary's part of the calls."""


def power(hypotheses: Hypotheses, traffic: Traffic) -> list[Power]:
    """Of the first metric, if it is a share of calls that events count; none without such calls."""
    metric = hypotheses.metrics[0]
    rate = RATES[rows[0]] if (rows := ROWS.get(metric, ())) else None
    if rate is None or rate.events not in SUM or not (of := traffic.vitals.total(rate.of)):
        return []
    base, calls = traffic.vitals.total(rate.events) / of, of / traffic.days
    effect, changes = hypotheses.effect, _changes(base, hypotheses.effect)
    arms, bar = np.array([[1 - SHARE], [SHARE]]), np.array([-math.log(hypotheses.alpha_of(metric))])
    ratios = [
        eprocess.smallest_ratio(
            arms * calls * days, np.array([base]), bar, 1 + effect, most=1 + changes.most
        )[0]
        for days in DAYS
    ]
    day, week = (float(ratio) - 1 if math.isfinite(ratio) else None for ratio in ratios)
    return [Power(CANARY[metric], base, calls, day, week, effect=effect, most=changes.most, why=changes.why)]


def _changes(base: float, effect: float) -> Changes:
    if not base:
        return Changes(base, 0.0, "there was none, and nothing is so many times as often as none")
    return rise(base, effect)
