"""Where a budget's spend leads: the period's end with an interval, from its hourly spend.

Model: river's additive Holt-Winters over the hours, with a season of a day, or of a week once two of those
are seen, and without a trend: over a month it would multiply the chance slope of a few days by 700.
The sum of H hours to come has the variance σ² · Σ_{i=1…H} (1 + C(H−i))², C(n) = Σ_{j=1…n} (α + γ·[m | j]),
where σ² is that of the one-step errors and m the season: Snyder, Koehler, Hyndman, Ord, "Exponential
smoothing models: Means and variances for lead-time demand", EJOR 158 (2004), for the state space ETS(A,N,A).

Before two days are seen the hours to come are taken to be like the mean one ("linear"). To either a share
of what is to come is added as doubt: for d days of history 1/d, and by as much as the days differ among each
other, for nothing says that the others are like those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.detect.amount import BASIS
from llmvitals.record.quantity import amount, local
from llmvitals.record.reading import Reading
from llmvitals.window import FOREVER, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from llmvitals.detect.ladder import Ladder, Stand

DAILY: Final = 24
WEEKLY: Final = 7 * DAILY
MOST: Final = 14 * DAILY
"""Hours that are remembered: two weeks, so that both seasons can be seen twice."""
ALPHA: Final = 0.02
GAMMA: Final = 0.05
WEEKEND: Final = 0.25
"""So much of what is to come is doubt at least until two weeks are seen: days off are not like the others."""
STILL: Final = 1e-9
"""river wants a trend where there is a season: it begins at 0, and stays there."""
EARLY: Final = 10
"""Per cent of the period before which the linear forecast is not told."""
RELAX: Final = 75
"""A forecast is taken back when the chance is below this per cent of the one to tell."""
INNER: Final = 0.8
"""The interval holds with this chance."""


class Outlook(NamedTuple):
    """What is still to come until the period's end, in the unit; season: hours, 0: linear; of days seen."""

    rest: float
    deviation: float
    season: int
    days: float

    def chance(self, left: float) -> float:
        """Of spending more than what is left."""
        if not self.deviation:
            return float(self.rest > left)
        return 1 - NormalDist(self.rest, self.deviation).cdf(left)

    def interval(self) -> tuple[float, float]:
        """What the rest is between with a chance of INNER; spend is never taken back."""
        reach = NormalDist().inv_cdf((1 + INNER) / 2) * self.deviation
        return max(self.rest - reach, 0.0), self.rest + reach

    @property
    def basis(self) -> str:
        """Whence it comes, in words."""
        days = "one day" if self.days < 2 else f"{int(self.days)} days"
        if not self.season:
            return f"linear, {days} of history"
        return f"the pattern of the {'week' if self.season == WEEKLY else 'day'} over {days}"


def outlook(hours: Sequence[float], horizon: float) -> Outlook | None:
    """The next `horizon` hours, of the whole hours so far; None before a day of them."""
    if len(hours) < DAILY:
        return None
    days = len(hours) / DAILY
    season = WEEKLY if len(hours) >= 2 * WEEKLY else DAILY if len(hours) >= 2 * DAILY else 0
    if season:
        rest, variance = _seasonal(hours, horizon, season)
    else:
        mean = fmean(hours)
        rest, variance = mean * horizon, horizon * fmean((hour - mean) ** 2 for hour in hours)
    doubt = 1 / days if season == WEEKLY else max(1 / days, WEEKEND, _scatter(hours))
    return Outlook(rest, math.hypot(math.sqrt(variance), rest * doubt), season, days)


def _scatter(hours: Sequence[float]) -> float:
    """The standard error of the mean of the whole days, in terms of that."""
    whole = [sum(hours[end - DAILY : end]) for end in range(len(hours), DAILY - 1, -DAILY)]
    mean = fmean(whole)
    return stdev(whole, mean) / math.sqrt(len(whole)) / mean if len(whole) > 1 and mean else 0.0


def _seasonal(hours: Sequence[float], horizon: float, season: int) -> tuple[float, float]:
    """Mean and variance of the sum of the next hours."""
    from river.time_series import HoltWinters  # noqa: PLC0415  # takes a second: only who forecasts waits

    model: Any = HoltWinters(ALPHA, STILL, GAMMA, season)  # type: ignore[no-untyped-call]
    # river begins an additive season with ratios to the level, which must not be 0 for that, and the trend
    # with the way from the first hour to the last.
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
    return rest, weight * fmean(error * error for error in errors)


@dataclass(frozen=True, slots=True)
class Forecast:
    """State: "hours", [the hour under way or to come, its spend, spends of the whole hours before it].

    With them "told", [name of the episode, end of its period] while one is told, and "sums": end of the
    period that was looked at, its expected spend, and the interval, in the unit. The model is fitted again
    from the hours whenever one is over, so that a restart changes nothing. History begins with the first
    whole hour, and is forgotten when all of it is 0.

    share: the chance (1/10,000) from which on it is told.
    """

    ladder: Ladder
    pane: int
    share: int
    zone: tzinfo

    def take(self, state: dict[str, Any], pane: int, more: int, stand: Stand) -> list[Reading]:
        """A pane is over; more: what it spent; stand: with it."""
        readings = []
        if "told" in state and state["told"][1] <= stand.at:
            note = f"it came to {self.ladder.text(stand.spent)}" if stand.ends == stand.at else ""
            readings.append(self._reading(stand, state.pop("told")[0], note))
        hour = pane * self.pane // HOUR
        if more:
            memory = state.setdefault("hours", [hour + 1, 0, []])
            _roll(memory, hour)
            memory[1] += more if memory[0] == hour else 0
        if stand.at % HOUR or hour < state.get("hours", (FOREVER,))[0]:
            return readings
        _roll(state["hours"], hour + 1)
        readings += self._look(state, stand)
        if not any(state["hours"][2]):
            del state["hours"]
            state.pop("sums", None)
        return readings

    def wakes(self, state: dict[str, Any], *, spent: bool) -> int:
        """The last pane of the hour, and of a period told of; or that at whose end all is forgotten.

        spent: whether anything is, in the period.
        """
        wakes = state["told"][1] // self.pane - 1 if "told" in state else FOREVER
        if "hours" not in state:
            return wakes
        hour, now, past = state["hours"]
        if not (spent or now or "told" in state):
            zeros = next((number for number, each in enumerate(reversed(past)) if each), 0)
            hour += max(MOST - zeros, 1) - 1 if past else 0
        return int(min(wakes, (hour + 1) * HOUR // self.pane - 1))

    def measures(self, state: dict[str, Any], ends: int | None) -> dict[str, float]:
        """The fields of a point of the period with this end, if it was looked at."""
        end, *sums = state.get("sums", (None,))
        if end != ends or self.ladder.unit != "usd":
            return {}
        return dict(zip(("forecast_usd", "forecast_low_usd", "forecast_high_usd"), sums, strict=True))

    def _look(self, state: dict[str, Any], stand: Stand) -> list[Reading]:
        begin, ends, scale = int(stand.begin), stand.ends or 0, self.ladder.scale
        left = ends - stand.at
        found = outlook([hour / scale for hour in state["hours"][2]], left / HOUR) if left > 0 else None
        if found is None:
            state.pop("sums", None)
            return []
        spent = stand.spent / scale
        state["sums"] = [ends, *(spent + rest for rest in (found.rest, *found.interval()))]
        chance = found.chance(self.ladder.limit / scale - spent) * BASIS
        note = self._note(state["sums"], chance, found)
        if "told" in state:
            if chance * 100 >= self.share * RELAX:
                return []
            return [self._reading(stand, state.pop("told")[0], note)]
        early = not found.season and (stand.at - begin) * 100 < (ends - begin) * EARLY
        if chance < self.share or early or stand.spent >= self.ladder.limit:
            return []
        name = f"forecast-{stand.at}"
        state["told"] = [name, ends]
        return [self._reading(stand, name, note)._replace(verdict="breach")]

    def _reading(self, stand: Stand, begin: str, note: str) -> Reading:
        spent, limit = stand.spent / self.ladder.scale, self.ladder.limit / self.ladder.scale
        return Reading(
            stand.at, "clear", spent, limit, begin=begin, facet="forecast", note=note, ends=stand.ends
        )

    def _note(self, sums: Sequence[float], chance: float, found: Outlook) -> str:
        about, low, high = (amount(value, self.ladder.unit) for value in sums[1:])
        surely = f"{min(max(int(chance / 100), 1), 99)} %"
        return (
            f"about {about} by {local(int(sums[0]), self.zone)}, {100 * INNER:.0f} % sure between {low} and "
            f"{high}; chance to overrun {surely} ({found.basis})"
        )


def _roll(memory: list[Any], hour: int) -> None:
    """Make this hour the one under way."""
    steps = hour - memory[0]
    if steps > 0:
        memory[2].extend([memory[1], *[0] * min(steps - 1, MOST)])
        del memory[2][:-MOST]
        memory[:2] = [hour, 0]
