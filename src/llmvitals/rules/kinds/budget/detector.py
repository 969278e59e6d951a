"""The detector of a budget: its spend, its burn rate and its forecast.

Sums are exact integers. Open panes count as spend too: the spend only grows, so a breach is detected at once
and later data cannot undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.burn_rate import BurnRate
    from llmvitals.rules.kinds.budget.forecast import Forecast
    from llmvitals.rules.kinds.budget.thresholds import Balance, Thresholds


class Spending(Protocol):
    """The spend of a budget: reads panes as a Detector does, and computes the balance of a period."""

    @property
    def thresholds(self) -> Thresholds: ...
    @property
    def shape(self) -> str: ...
    def balance(self, state: dict[str, Any], pane: int) -> Balance:
        """The balance of the period that a pane is in, at the pane's end."""

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]: ...
    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]: ...
    def wakes(self, state: dict[str, Any]) -> int: ...


@dataclass(frozen=True, slots=True)
class BudgetDetector(Detector):
    """Evaluates a budget.

    State: that of its spending; under "burn" and "forecast" those of the burn rate and the forecast.
    """

    spending: Spending
    burn: BurnRate | None = None
    forecast: Forecast | None = None

    @property
    def shape(self) -> str:
        """The shape of the spending; a rule that adds a burn rate or a forecast keeps its spend."""
        return self.spending.shape

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if self.burn is None and self.forecast is None and not ("burn" in state or "forecast" in state):
            return self.spending.take(state, pane, vitals)
        rates, hours = state.pop("burn", {}), state.pop("forecast", {})
        more = 0 if vitals is None else self.spending.thresholds.amount(vitals)
        balance = self.spending.balance(state, pane)
        balance = balance._replace(spent=balance.spent + more)
        readings = self.spending.take(state, pane, vitals)
        readings += self._projections(rates, hours, pane, (more, balance))
        measures = self._measures(rates, hours, balance.ends)
        if rates:
            state["burn"] = rates
        if hours:
            state["forecast"] = hours
        return [
            reading._replace(beside=measures) if not reading.facet and measures else reading
            for reading in readings
        ]

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """Add the open panes to the spend; burn rate and forecast read closed panes only."""
        if "burn" not in state and "forecast" not in state:
            return self.spending.peek(state, opened)
        beside: dict[str, Any] = {name: state.pop(name) for name in ("burn", "forecast") if name in state}
        readings = self.spending.peek(state, opened)
        state.update(beside)
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which something may change without a call; NEVER: the next pane."""
        if "burn" not in state and "forecast" not in state:
            return self.spending.wakes(state)
        spending = {name: held for name, held in state.items() if name not in ("burn", "forecast")}
        wakes = self.spending.wakes(spending)
        if "burn" in state:
            wakes = min(wakes, self.burn.wakes(state["burn"]) if self.burn else NEVER)
        if "forecast" in state:
            alive = bool(spending)
            wakes = min(
                wakes, self.forecast.wakes(state["forecast"], spent=alive) if self.forecast else NEVER
            )
        return wakes

    def _projections(
        self, rates: dict[str, Any], hours: dict[str, Any], pane: int, now: tuple[int, Balance]
    ) -> list[Reading]:
        readings: list[Reading] = []
        if self.burn is not None:
            readings += self.burn.take(rates, pane, *now)
        elif rates:
            readings += self._end("burn", rates.get("begin"), now[1])
            rates.clear()
        if self.forecast is not None:
            readings += self.forecast.take(hours, pane, *now)
        elif hours:
            readings += self._end("forecast", hours.get("told", (None,))[0], now[1])
            hours.clear()
        return readings

    def _end(self, facet: str, begin: str | None, balance: Balance) -> list[Reading]:
        if begin is None:
            return []
        note, thresholds = "this part of the rule was removed", self.spending.thresholds
        spent, limit = balance.spent / thresholds.scale, thresholds.limit / thresholds.scale
        return [Reading(balance.at, "clear", spent, limit, begin=begin, facet=facet, note=note)]

    def _measures(self, rates: dict[str, Any], hours: dict[str, Any], ends: int | None) -> dict[str, float]:
        measures: dict[str, float] = {}
        if self.burn is not None:
            measures["burn_1h"] = self.burn.hourly(rates)
        if self.forecast is not None:
            measures |= self.forecast.measures(hours, ends)
        return measures
