"""The smallest change that a rule of regression finds in the traffic of a series.

The blocks until an alarm are the level of evidence by the information of a block: Lorden, "Procedures for
reacting to a change in distribution", Annals of Mathematical Statistics 42, 1971. What is usual is taken as
known, and days as alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from llmvitals.rules.condition.power import DAYS, Power, smallest
from llmvitals.stats.normaliser import MOST

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.rules.condition.power import Traffic
    from llmvitals.rules.kinds.regression.detector import RegressionDetector

FAR: Final = 20.0
"""Changes up to 21 times the usual are looked at."""


def power(detector: RegressionDetector, traffic: Traffic) -> list[Power]:
    """One for each side that the rule looks at; none without a call that the metric is computed from."""
    sample = detector.gauge.sample(traffic.vitals)
    value, calls = detector.gauge.value(sample), sample[0][0] / traffic.days
    if value is None or not calls:
        return []
    found = []
    for side in detector.sides:
        down, least = side == "down", detector.effect if side == "up" else 1 - 1 / (1 + detector.effect)
        base, most, why = detector.gauge.changes(value, side, detector.effect)

        def days(change: float, side: Side = side) -> float:
            return _days(detector, traffic, side, change if side == "up" else -change)

        sizes = [smallest(days, within, least, min(most, FAR)) for within in DAYS]
        day, week = (size if size is None or not down else -size for size in sizes)
        found.append(Power(detector.metric, base, calls, day, week, down, least, most, why))
    return found


def _days(detector: RegressionDetector, traffic: Traffic, side: Side, change: float) -> float:
    """Days until the metric is found to be (1 + change) times its value."""
    blocks, information = detector.gauge.sees(traffic, side, detector.effect, change)
    if information <= 0 or blocks <= 0:
        return math.inf
    alarms = 30 * max(blocks, 1.0) * detector.months * len(detector.sides)
    return (max(math.log(alarms), 0.0) + 1) / (min(information, MOST) * blocks)
