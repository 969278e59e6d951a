"""Forecasts from the hourly spend whether a budget will be overspent at the end of its period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.amount import BASIS
from llmvitals.metrics.quantity import amount, local
from llmvitals.record.alert import Outlook
from llmvitals.record.reading import Reading
from llmvitals.rules.kinds.budget.projection import INNER, projection
from llmvitals.window import FOREVER, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from llmvitals.rules.kinds.budget.projection import Projection
    from llmvitals.rules.kinds.budget.thresholds import Balance, Thresholds

EARLY: Final = 10
"""A linear forecast is not reported in the first per cent of the period."""
RELAX: Final = 75
"""An alert resolves when the chance is below this per cent of the chance at which it fires."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts one budget. share: the chance (1/10,000) at which it fires.

    The model is fitted again from the kept hours at the end of each hour, so a restart changes nothing.

    State: "told", [name of the episode, end of its period] while it fires; "sums": end of the forecast
    period, its expected spend, the interval, in the unit, and the chance of overspending.
    """

    thresholds: Thresholds
    share: int
    zone: tzinfo

    def take(self, state: dict[str, Any], balance: Balance, hours: Sequence[int] | None) -> list[Reading]:
        """Read a closed pane. balance: after it. hours: see SpendHistory, if a whole hour ends with it."""
        readings = []
        if "told" in state and state["told"][1] <= balance.at:
            name, ends = state.pop("told")
            note = f"the period ended at {self.thresholds.text(balance.spent)}" if ends == balance.at else ""
            readings.append(self._reading(state, balance, name, note)._replace(verdict="clear", ends=ends))
        if hours is None:
            return readings
        readings += self._forecast(state, balance, hours)
        if not any(hours):
            state.pop("sums", None)
        return readings

    def wakes(self, state: dict[str, Any], pane: int) -> int:
        """The last pane of an alert's period; pane: the length of panes, µs."""
        return state["told"][1] // pane - 1 if "told" in state else FOREVER

    def outlook(self, state: dict[str, Any], balance: Balance) -> Outlook | None:
        """What was forecast last for the period of a balance; None if it was not."""
        end, *sums = state.get("sums", (None,))
        if end != balance.ends:
            return None
        expected, low, high, *chance = sums
        return Outlook(
            expected=expected,
            low=low,
            high=high,
            chance=chance[0] if chance else None,
            exhausted=self._exhausted(balance, expected),
        )

    def measures(self, state: dict[str, Any], ends: int | None) -> dict[str, float]:
        """The fields of a point for the period with this end, if it was forecast."""
        end, *sums = state.get("sums", (None,))
        if end != ends or self.thresholds.unit != "usd":
            return {}
        return dict(zip(("forecast_usd", "forecast_low_usd", "forecast_high_usd"), sums[:3], strict=True))

    def _exhausted(self, balance: Balance, expected: float) -> int | None:
        """When the expected spend reaches the limit, as if it came evenly from now on."""
        spent, limit = (value / self.thresholds.scale for value in (balance.spent, self.thresholds.limit))
        if spent >= limit or expected <= limit or balance.ends is None:
            return None
        return balance.at + int((balance.ends - balance.at) * (limit - spent) / (expected - spent))

    def _forecast(self, state: dict[str, Any], balance: Balance, hours: Sequence[int]) -> list[Reading]:
        begin, ends, scale = int(balance.begin), balance.ends or 0, self.thresholds.scale
        left = ends - balance.at
        found = projection([hour / scale for hour in hours], left / HOUR) if left > 0 else None
        if found is None:
            state.pop("sums", None)
            return []
        spent = balance.spent / scale
        chance = found.chance(self.thresholds.limit / scale - spent)
        state["sums"] = [ends, *(spent + rest for rest in (found.rest, *found.interval())), chance]
        note = self._note(state["sums"], chance, found)
        if "told" in state:
            if chance * BASIS * 100 >= self.share * RELAX:
                return [self._reading(state, balance, state["told"][0], note)]
            return [self._reading(state, balance, state.pop("told")[0], note)._replace(verdict="clear")]
        early = not found.season and (balance.at - begin) * 100 < (ends - begin) * EARLY
        if chance * BASIS < self.share or early or balance.spent >= self.thresholds.limit:
            return []
        state["told"] = [f"forecast-{balance.at}", ends]
        return [self._reading(state, balance, state["told"][0], note)._replace(verdict="breach")]

    def _reading(self, state: dict[str, Any], balance: Balance, begin: str, note: str) -> Reading:
        return Reading(
            balance.at,
            "hold",
            balance.spent / self.thresholds.scale,
            self.thresholds.limit / self.thresholds.scale,
            begin=begin,
            facet="forecast",
            note=note,
            ends=balance.ends,
            outlook=self.outlook(state, balance),
            unpriced=balance.without_price,
        )

    def _note(self, sums: Sequence[float], chance: float, found: Projection) -> str:
        about, low, high = (amount(value, self.thresholds.unit) for value in sums[1:4])
        surely = f"{min(max(int(chance * 100), 1), 99)} %"
        return (
            f"about {about} by {local(int(sums[0]), self.zone)}, {100 * INNER:.0f} % interval {low} to "
            f"{high}; chance of overspending {surely} ({found.basis})"
        )
