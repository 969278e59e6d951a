"""The ways to compare a metric with past hours: as a share of calls, at a quantile, or as a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from llmvitals.rules.condition.power import Changes, rise
from llmvitals.stats import counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from llmvitals.metrics.metric import Side
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.power import Traffic
    from llmvitals.rules.kinds.regression.hours import Rows
    from llmvitals.rules.kinds.regression.samples import Columns, Sample

Usual = dict[str, float]
"""The baseline of an hour from past hours; each gauge has its own names, and all have "value"."""
Tally = list[float]
"""What a block has against the baseline; each gauge has its own numbers, and they are added up."""


class Gauge(Protocol):
    """One way to compare. effect: the least change that counts, as a relative share.

    The evidence has one number for each (size of the change, noise of hours), the noises innermost; noises:
    how many there are.
    """

    noises: ClassVar[int]

    def sample(self, vitals: Vitals) -> Sample:
        """The sample of a pane."""

    def minute(self, sample: Sample) -> Sample:
        """The sample of a minute, as it is added to its hour."""

    def minutes(self, many: Sequence[Vitals]) -> Columns:
        """The samples of many minutes, one or more, each as `minute` makes it."""

    def value(self, sample: Sample) -> float | None:
        """The value of the metric."""

    def row(self, sample: Sample) -> tuple[float, float] | None:
        """`stat` and `spread` of an hour; None if it has too few calls for a value."""

    def usual(self, past: Rows, every: Rows) -> Usual:
        """The baseline. past: the same hours, at least one. every: all hours that are kept."""

    def fair(self, sample: Sample, usual: Usual, effect: float) -> Sample:
        """A part of an hour as it is learned: a storm is cut down to what chance may bring."""

    def tally(self, sample: Sample, usual: Usual, side: Side, effect: float) -> Tally:
        """A short part of a block against the baseline moved by the effect; storms are cut down."""

    def evidence(self, tally: Tally) -> NDArray[np.float64]:
        """The log likelihood ratio of each (change, noise)."""

    def lean(self, tally: Tally) -> float:
        """The evidence of a small change without noise, which tells when a change began."""

    def enough(self, tally: Tally) -> bool:
        """Whether a block says something."""

    def changes(self, value: float, side: Side, effect: float) -> Changes:
        """The changes that can be reported of a metric that is usually `value`; side, effect: of the rule."""

    def sees(self, traffic: Traffic, side: Side, effect: float, change: float) -> tuple[float, float]:
        """The blocks of a day, and the mean evidence of each, when the metric is (1 + change) times its base.

        side, effect: of the rule. change: one of `changes`, which has the base.
        """


def share_changes(value: float, side: Side, effect: float, least: float) -> Changes:
    """The changes of a share. least: what a rise is measured from at least, and nothing falls below it."""
    if side == "down":
        counts = value >= least
        return Changes(value, 1.0) if counts else Changes(value, 0.0, f"no fall below {least:.1%} counts")
    found = rise(max(value, least), effect)
    if value >= least or not found.most:
        return found
    return found._replace(why=f"usually less than {least:.1%}: a rise is measured from it")


HOURS_DIFFER: Final = 0.04
"""The squared variation of hours that `sees` assumes: they differ by 20 %."""
BLOCK: Final = 2.8
"""The expected calls of a block that needs two, in the mean; so assumed by `sees`."""


class Counted:
    """Evidence of gauges that count calls. Its tally: more calls than expected, and fewer.

    A count is divided by 1 − its share, so that its variance is that of a binomial.
    """

    noises: ClassVar[int] = len(counts.NOISES)

    def counted(self, calls: float, bad: float, share: float, side: Side) -> Tally:
        """[count, expected] of calls that become more, then of those that become fewer. share: the limit."""
        grows = side == "up"
        if share > 0.5:
            bad, share, grows = calls - bad, 1 - share, not grows
        expected = calls * share
        count = min(bad, counts.highest(expected)) if grows else max(bad, counts.lowest(expected))
        pair = [count / (1 - share), expected / (1 - share)]
        return [*pair, 0.0, 0.0] if grows else [0.0, 0.0, *pair]

    def evidence(self, tally: Tally) -> NDArray[np.float64]:
        """Negative binomials."""
        more, most, fewer, least = tally
        return counts.log_ratios(more, most) + counts.log_ratios(fewer, least, fall=True)

    def lean(self, tally: Tally) -> float:
        """The counts against 1.12 times the expected ones: the middle of the two least changes."""
        more, most, fewer, least = tally
        return more - 1.12 * most + least / 1.12 - fewer

    def enough(self, tally: Tally) -> bool:
        """Two calls are expected."""
        return tally[1] + tally[3] >= 2

    def informed(self, calls: float, limit: float, share: float) -> tuple[float, float]:
        """See `Gauge.sees`. calls: a day. limit: the last share that is no change. share: the present one."""
        if limit > 0.5:
            limit, share = 1 - limit, 1 - share
        if limit <= 0 or not 0 <= share <= 1:
            return 0.0, 0.0
        furthest = counts.RATIOS[-1]
        ratio = min(max(share / limit, 1 / furthest), furthest)
        expected = calls * limit / (1 - limit)
        blocks = min(calls * limit / BLOCK, 24.0)
        variance = blocks / expected / math.sqrt(ratio) + HOURS_DIFFER
        return blocks, math.log(ratio) ** 2 / 2 / variance
