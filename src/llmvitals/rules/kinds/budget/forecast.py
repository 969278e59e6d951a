"""Forecasts from the hourly spend whether a budget will be overspent at the end of its period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.amount import BASIS
from llmvitals.metrics.quantity import amount, local
from llmvitals.record.reading import Reading
from llmvitals.rules.kinds.budget.projection import DAILY, INNER, projection
from llmvitals.window import FOREVER, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from llmvitals.rules.kinds.budget.projection import Projection
    from llmvitals.rules.kinds.budget.thresholds import Balance, Thresholds

MOST: Final = 14 * DAILY
"""Hours that are kept: two weeks, so that the daily and the weekly season occur twice."""
EARLY: Final = 10
"""A linear forecast is not reported in the first per cent of the period."""
RELAX: Final = 75
"""An alert resolves when the chance is below this per cent of the chance at which it fires."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts one budget. share: the chance (1/10,000) at which it fires.

    The model is fitted again from the kept hours at the end of each hour, so a restart changes nothing. The
    history begins with the first whole hour, and is dropped when all of it is 0.

    State: "hours", [the hour under way or to come, its spend, spends of the whole hours before it]; "told",
    [name of the episode, end of its period] while it fires; "sums": end of the forecast period, its expected
    spend, and the interval, in the unit.
    """

    thresholds: Thresholds
    pane: int
    share: int
    zone: tzinfo

    def take(self, state: dict[str, Any], pane: int, more: int, balance: Balance) -> list[Reading]:
        """Read a closed pane. more: what it spent. balance: after it."""
        readings = []
        if "told" in state and state["told"][1] <= balance.at:
            note = (
                f"the period ended at {self.thresholds.text(balance.spent)}"
                if balance.ends == balance.at
                else ""
            )
            readings.append(self._reading(balance, state.pop("told")[0], note))
        hour = pane * self.pane // HOUR
        if more:
            memory = state.setdefault("hours", [hour + 1, 0, []])
            _roll(memory, hour)
            memory[1] += more if memory[0] == hour else 0
        if balance.at % HOUR or hour < state.get("hours", (FOREVER,))[0]:
            return readings
        _roll(state["hours"], hour + 1)
        readings += self._forecast(state, balance)
        if not any(state["hours"][2]):
            del state["hours"]
            state.pop("sums", None)
        return readings

    def wakes(self, state: dict[str, Any], *, spent: bool) -> int:
        """The last pane of the hour, or of an alert's period, or the one at whose end the history is dropped.

        spent: whether the period has any spend.
        """
        wakes = state["told"][1] // self.pane - 1 if "told" in state else FOREVER
        if "hours" not in state:
            return wakes
        hour, now, past = state["hours"]
        if not (spent or now or "told" in state):
            zeros = next((number for number, entry in enumerate(reversed(past)) if entry), 0)
            hour += max(MOST - zeros, 1) - 1 if past else 0
        return int(min(wakes, (hour + 1) * HOUR // self.pane - 1))

    def measures(self, state: dict[str, Any], ends: int | None) -> dict[str, float]:
        """The fields of a point for the period with this end, if it was forecast."""
        end, *sums = state.get("sums", (None,))
        if end != ends or self.thresholds.unit != "usd":
            return {}
        return dict(zip(("forecast_usd", "forecast_low_usd", "forecast_high_usd"), sums, strict=True))

    def _forecast(self, state: dict[str, Any], balance: Balance) -> list[Reading]:
        begin, ends, scale = int(balance.begin), balance.ends or 0, self.thresholds.scale
        left = ends - balance.at
        found = projection([hour / scale for hour in state["hours"][2]], left / HOUR) if left > 0 else None
        if found is None:
            state.pop("sums", None)
            return []
        spent = balance.spent / scale
        state["sums"] = [ends, *(spent + rest for rest in (found.rest, *found.interval()))]
        chance = found.chance(self.thresholds.limit / scale - spent) * BASIS
        note = self._note(state["sums"], chance, found)
        if "told" in state:
            if chance * 100 >= self.share * RELAX:
                return []
            return [self._reading(balance, state.pop("told")[0], note)]
        early = not found.season and (balance.at - begin) * 100 < (ends - begin) * EARLY
        if chance < self.share or early or balance.spent >= self.thresholds.limit:
            return []
        name = f"forecast-{balance.at}"
        state["told"] = [name, ends]
        return [self._reading(balance, name, note)._replace(verdict="breach")]

    def _reading(self, balance: Balance, begin: str, note: str) -> Reading:
        spent, limit = balance.spent / self.thresholds.scale, self.thresholds.limit / self.thresholds.scale
        return Reading(
            balance.at, "clear", spent, limit, begin=begin, facet="forecast", note=note, ends=balance.ends
        )

    def _note(self, sums: Sequence[float], chance: float, found: Projection) -> str:
        about, low, high = (amount(value, self.thresholds.unit) for value in sums[1:])
        surely = f"{min(max(int(chance / 100), 1), 99)} %"
        return (
            f"about {about} by {local(int(sums[0]), self.zone)}, {100 * INNER:.0f} % interval {low} to "
            f"{high}; chance of overspending {surely} ({found.basis})"
        )


def _roll(memory: list[Any], hour: int) -> None:
    """Advance to this hour."""
    steps = hour - memory[0]
    if steps > 0:
        memory[2].extend([memory[1], *[0] * min(steps - 1, MOST)])
        del memory[2][:-MOST]
        memory[:2] = [hour, 0]
