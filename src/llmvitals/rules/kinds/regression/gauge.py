"""The ways to compare a metric with past hours: as a share of calls, at a quantile, or as a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.hours import Rows

Sample = tuple[list[float], dict[str, int]]
"""Sums (the first one is the calls that the metric is computed from) and bins. Plain data; added up."""
Usual = dict[str, float]
"""The baseline of an hour from past hours; each gauge has its own names, and all have "value"."""

RATIOS: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The odds ratios that are tested, for counts of calls."""


class Gauge(Protocol):
    """One way to compare. effect: the least change that counts, as a relative share."""

    def sample(self, vitals: Vitals) -> Sample:
        """The sample of a pane."""

    def minute(self, sample: Sample) -> Sample:
        """The sample of a minute, as it is added to its hour."""

    def value(self, sample: Sample) -> float | None:
        """The value of the metric."""

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """`stat` and `spread` of an hour; None without a value."""

    def usual(self, past: Rows, every: Rows) -> Usual:
        """The baseline. past: the same hours, at least one. every: all hours that are kept."""

    def off(self, sample: Sample, usual: Usual, side: Side) -> float:
        """The distance from the baseline, in standard deviations of independent calls."""

    def evidence(self, sample: Sample, usual: Usual, side: Side, effect: float) -> list[float]:
        """The log e-value of each tested change, for calls beyond the baseline by more than the effect."""


def plus(left: Sample | None, right: Sample) -> Sample:
    """The sum."""
    if left is None:
        return list(right[0]), dict(right[1])
    bins = dict(left[1])
    for key, count in right[1].items():
        bins[key] = bins.get(key, 0) + count
    return [a + b for a, b in zip(left[0], right[0], strict=True)], bins


def beyond(bad: float, calls: float, share: float) -> float:
    """By how many standard deviations of a binomial `bad` of `calls` are beyond a share (0 … 1)."""
    return (bad - calls * share) / math.sqrt(calls * share * (1 - share))
