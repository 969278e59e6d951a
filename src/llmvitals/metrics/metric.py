"""A metric: how it is computed from the counters, stored, compared with the past, and shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from llmvitals.metrics.columns import CALLS
from llmvitals.record.vitals import TOPS
from llmvitals.sketch import quantiles
from llmvitals.sketch.counters import SUM
from llmvitals.sketch.scores import EVERY, NO_SCORE, total_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

Sample = tuple[list[int], int, dict[str, int]]
"""The data of some panes: sums, a maximum, and bins of a sketch (number as text → count)."""
Side = Literal["up", "down"]
Comparison = Literal["share", "token_share", "quantile", "mean", "log_mean"]

SECONDS: Final = "seconds"
"""The divisor of a rate: the length of the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A statistic of the calls in a window, read in one of six ways.

    It is a total (Σ over − Σ less) / per; a rate, the total by the window's seconds (under: SECONDS); a
    ratio (Σ over − Σ less) / (under · per); the quantile q of a sketch; the maximum `top`; or the mean of
    the score named `score` (EVERY: of all scores). over, less, under, counted are names of
    sketch.counters.SUMS, top of its MAXIMA.

    text: its description for the documentation. unit: of its value. counted: the sum of the calls that it is
    computed from. measurement, field: where a point holds it; without a field a query computes it from the
    counts of the point. worse: the direction in which it gets worse. compared: how `regression` compares it
    with past hours, "" if it can't; logs: the sketch or the sum that holds the logarithms for "log_mean".
    watched: `change` watches it if a rule names no metrics. sentence: completes "12 % of …" in an alert.
    lowest, highest: no value lies below or above.
    """

    unit: Unit
    text: str
    over: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    under: str = ""
    per: float = 1
    counted: str = "calls"
    sketch: str = ""
    q: float = 0.0
    top: str = ""
    score: str = ""
    measurement: str = CALLS
    field: str = ""
    worse: Side = "up"
    compared: Comparison | Literal[""] = ""
    logs: str = ""
    watched: bool = False
    sentence: str = ""
    lowest: float = 0.0
    highest: float = math.inf

    def __post_init__(self) -> None:
        if self.field and self.under == SECONDS:
            raise ValueError(
                f"{self.field}: a rate has no field: queries compute it from the counts of points"
            )

    @property
    def additive(self) -> bool:
        """Whether it is a total or a rate.

        These follow the traffic, and one call is enough to compute them.
        """
        return not (self.sketch or self.top or self.score) and self.under in ("", SECONDS)

    @property
    def counts_late(self) -> bool:
        """Whether it is about late calls."""
        return "late_calls" in self.over

    @property
    def sums(self) -> tuple[str, ...]:
        """The sums that it is computed from."""
        divisor = () if self.under in ("", SECONDS) else (self.under,)
        return tuple(dict.fromkeys((*self.over, *self.less, *divisor)))

    def of(self, total: Callable[[str], int], seconds: float = 1.0) -> float | None:
        """Compute the value from the totals of `sums`; None if the divisor is 0. seconds: for a rate."""
        over = sum(map(total, self.over)) - sum(map(total, self.less))
        if self.under == SECONDS:
            return over / (seconds * self.per)
        if not self.under:
            return over if self.per == 1 else over / self.per
        under = total(self.under)
        return over / (under * self.per) if under else None

    def sample(self, vitals: Vitals) -> Sample:
        """The data of a pane that is needed to compute the metric over a window."""
        if self.score:
            every = self.score == EVERY
            count, total, _ = total_of(vitals.scores) if every else vitals.scores.get(self.score, NO_SCORE)
            return [count, total, count], 0, {}
        sums = vitals.sums
        over = sum([sums[SUM[name]] for name in self.over]) - sum([sums[SUM[name]] for name in self.less])
        under = 0 if self.under in ("", SECONDS) else sums[SUM[self.under]]
        bins: dict[str, int] = {}
        if self.sketch:
            numbers, counts = quantiles.sketch_bins(vitals.bins, self.sketch)
            bins = dict(zip(map(str, numbers.tolist()), counts.tolist(), strict=True))
        top = self.top or (TOPS[self.sketch][0] if self.sketch in TOPS else "")
        return [sums[SUM[self.counted]], over, under], vitals.total(top) if top else 0, bins

    def calls(self, sample: Sample) -> int:
        """How many calls a sample is computed from."""
        return sum(sample[2].values()) if self.sketch else sample[0][0]

    def read(self, sample: Sample, seconds: float) -> float | None:
        """Compute the value; None without data. seconds: the length of the window, for rates."""
        (counted, over, under), top, bins = sample
        if self.sketch:
            return _quantile(self.sketch, self.q, bins, top)
        if self.top:
            return top / self.per if counted else None
        divisor = {"": 1.0, SECONDS: seconds}.get(self.under, float(under))
        return over / (divisor * self.per) if divisor else None


def _quantile(sketch: str, q: float, bins: dict[str, int], top: int) -> float | None:
    """The quantile, at most the exact maximum, as in Vitals.quantile. top: 0 if none is kept."""
    value = quantiles.quantile_of(sketch, sorted((int(number), count) for number, count in bins.items()), q)
    return value if value is None or not top else min(value, top / TOPS[sketch][2])
