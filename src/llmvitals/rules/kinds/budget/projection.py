"""Projects a budget's hourly spend to the end of its period, with an interval.

Model: river's additive Holt-Winters over the hours, with a season of a day, or of a week once two weeks
are known, and without a trend: over a month it would multiply a random slope of a few days by 700.
The sum of H hours to come has the variance σ² · Σ_{i=1…H} (1 + C(H−i))², C(n) = Σ_{j=1…n} (α + γ·[m | j]),
where σ² is that of the one-step errors and m the season: Snyder, Koehler, Hyndman, Ord, "Exponential
smoothing models: Means and variances for lead-time demand", EJOR 158 (2004), for the state space ETS(A,N,A).

With less than two days of history, the mean hour is projected ("linear"). Both get additional uncertainty, a
share of the projection: at least 1/d for d days of history, and the scatter of the days, because later days
may differ from those.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

DAILY: Final = 24
WEEKLY: Final = 7 * DAILY
ALPHA: Final = 0.02
GAMMA: Final = 0.05
WEEKEND: Final = 0.25
"""The least relative uncertainty with less than two weeks of history, because days off differ."""
STILL: Final = 1e-9
"""river needs a trend with a season: it begins at 0 and stays there."""
INNER: Final = 0.8
"""The coverage of the interval."""
BURST: Final = 12
"""A burst is over within so many hours of its highest one; what lasts longer has become usual."""
OVER: Final = 3
"""Hours without a burst until it is over."""


class Projection(NamedTuple):
    """The spend to come until the period ends.

    rest, deviation: in the unit. season: hours, 0 for none. days: length of the history.
    """

    rest: float
    deviation: float
    season: int
    days: float

    def chance(self, left: float) -> float:
        """The chance that the rest exceeds what is left of the budget."""
        if not self.deviation:
            return float(self.rest > left)
        return 1 - NormalDist(self.rest, self.deviation).cdf(left)

    def interval(self) -> tuple[float, float]:
        """The interval of the rest with the coverage INNER; never negative."""
        reach = NormalDist().inv_cdf((1 + INNER) / 2) * self.deviation
        return max(self.rest - reach, 0.0), self.rest + reach

    @property
    def basis(self) -> str:
        """The basis of the projection, in words."""
        days = "one day" if self.days < 2 else f"{int(self.days)} days"
        if not self.season:
            return f"linear, {days} of history"
        return f"{'weekly' if self.season == WEEKLY else 'daily'} pattern over {days}"


def projection(hours: Sequence[float], horizon: float, *, skip: bool = False) -> Projection | None:
    """Project the next `horizon` hours from the whole hours so far; None with less than a day of them.

    skip: leave out the first hour of them, which is under way.
    """
    if len(hours) < DAILY:
        return None
    hours = _without_burst(hours)
    days = len(hours) / DAILY
    season = WEEKLY if len(hours) >= 2 * WEEKLY else DAILY if len(hours) >= 2 * DAILY else 0
    if season:
        rest, variance, first = _seasonal(hours, horizon, season)
    else:
        first = fmean(hours)
        rest, variance = first * horizon, horizon * fmean((hour - first) ** 2 for hour in hours)
    rest -= first * min(horizon, 1.0) if skip else 0.0
    uncertainty = 1 / days if season == WEEKLY else max(1 / days, WEEKEND, _scatter(hours))
    return Projection(rest, math.hypot(math.sqrt(variance), rest * uncertainty), season, days)


def _without_burst(hours: Sequence[float]) -> Sequence[float]:
    """Cut the highest burst, if it is over, to the highest hour of all others: once is an accident.

    Otherwise it would raise the level, and that hour of the day, for days. A second burst is not cut.
    """
    highest = max(hours)
    peak = hours.index(highest)
    usual = max([*hours[: max(peak - BURST, 0)], *hours[peak + BURST + 1 :]], default=highest)
    return hours if max(hours[-OVER:]) > usual else [min(hour, usual) for hour in hours]


def _scatter(hours: Sequence[float]) -> float:
    """The relative standard error of the mean of the whole days."""
    whole = [sum(hours[end - DAILY : end]) for end in range(len(hours), DAILY - 1, -DAILY)]
    mean = fmean(whole)
    return stdev(whole, mean) / math.sqrt(len(whole)) / mean if len(whole) > 1 and mean else 0.0


def _seasonal(hours: Sequence[float], horizon: float, season: int) -> tuple[float, float, float]:
    """Mean and variance of the sum of the next hours, and the first of them."""
    from river.time_series import HoltWinters  # noqa: PLC0415  # takes a second, so only forecasts import it

    model: Any = HoltWinters(ALPHA, STILL, GAMMA, season)  # type: ignore[no-untyped-call]
    # river initialises an additive season with ratios to the level, which must not be 0, and the trend with
    # the slope from the first hour to the last.
    for _ in range(season):
        model.learn_one(1.0)
    first = fmean(hours[:season])
    model.season.clear()
    model.season.extend(hour - first for hour in hours[:season])
    model.level[-1], model.trend[-1] = fmean(hours), 0.0
    errors = []
    for hour in hours[season:]:
        errors.append(hour - model.forecast(1)[0])
        model.learn_one(hour)
    cycle = [max(hour, 0.0) for hour in model.forecast(season)]
    cycles, over = divmod(horizon, season)
    whole = int(over)
    rest = cycles * sum(cycle) + sum(cycle[:whole]) + (over - whole) * cycle[whole]
    weight, factor = 0.0, 1.0
    for ahead in range(1, math.ceil(horizon) + 1):
        weight += factor * factor
        factor += ALPHA + (GAMMA if ahead % season == 0 else 0.0)
    return rest, weight * fmean(error * error for error in errors), cycle[0]
