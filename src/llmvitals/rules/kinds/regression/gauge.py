"""How a metric is compared with past hours: as a share of calls, at a quantile, or as a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.hours import Rows

Sample = tuple[list[float], dict[str, int]]
"""Sums, of which the first is the calls that the metric rests on, and bins. Plain data; added up."""
Usual = dict[str, float]
"""What past hours say of this one, each gauge in its own names; all have "value", the metric's."""

RATIOS: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The changes of odds that are tested, where calls are counted."""


class Gauge(Protocol):
    """One way to compare. effect: the least change that counts, as a relative share."""

    def sample(self, vitals: Vitals) -> Sample:
        """Of a pane."""

    def minute(self, sample: Sample) -> Sample:
        """Of a minute, as it is added to its hour."""

    def value(self, sample: Sample) -> float | None:
        """The metric."""

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """`stat` and `spread` of an hour; None where it has no value."""

    def usual(self, past: Rows, every: Rows) -> Usual:
        """past: the same hours, at least one. every: all that are remembered."""

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """By how many standard deviations (of calls that know nothing of each other) it is beyond."""

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """Log e for each change that is looked for, of calls beyond the usual by more than the effect."""


def plus(one: Sample | None, other: Sample) -> Sample:
    """The sum."""
    if one is None:
        return list(other[0]), dict(other[1])
    bins = dict(one[1])
    for key, count in other[1].items():
        bins[key] = bins.get(key, 0) + count
    return [a + b for a, b in zip(one[0], other[0], strict=True)], bins


def beyond(bad: float, calls: float, share: float) -> float:
    """By how many standard deviations of a binomial `bad` of `calls` are beyond a share (0 … 1)."""
    return (bad - calls * share) / math.sqrt(calls * share * (1 - share))
