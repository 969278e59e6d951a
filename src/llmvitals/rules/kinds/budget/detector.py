"""The detector of a budget: its spend, its burn rate and its forecast.

Sums are exact integers. Open panes count as spend too: the spend only grows, so a breach is detected at once
and later data cannot undo it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from llmvitals.metrics.quantity import span
from llmvitals.record.alert import Outlook
from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.budget.history import SpendHistory, whole_hours
from llmvitals.window import HOUR, NEVER, QUARTER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.burn_rate import BurnRate
    from llmvitals.rules.kinds.budget.forecast import Forecast
    from llmvitals.rules.kinds.budget.thresholds import Balance, Thresholds

_BESIDE: Final = ("hours", "burn", "forecast")
"""The keys of the states beside that of the spending."""


class Spending(Protocol):
    """The spend of a budget: reads panes as a Detector does, and computes the balance of a period."""

    @property
    def thresholds(self) -> Thresholds: ...
    @property
    def shape(self) -> str: ...
    def balance(self, state: dict[str, Any], pane: int, vitals: Vitals | None = None) -> Balance:
        """The balance of the period that a pane is in, at the pane's end, with what the pane holds."""

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]: ...
    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]: ...
    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]: ...
    def settled(self, state: dict[str, Any]) -> range: ...
    def quiet(self, state: dict[str, Any]) -> bool: ...
    def wakes(self, state: dict[str, Any]) -> int: ...


@dataclass(frozen=True, slots=True)
class BudgetDetector(Detector):
    """Evaluates a budget.

    State: that of its spending; "hours", see SpendHistory; under "burn" and "forecast" those of the burn rate
    and the forecast.
    """

    spending: Spending
    pane: int
    burn: BurnRate | None = None
    forecast: Forecast | None = None
    history: SpendHistory = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", SpendHistory(self.pane))

    @property
    def shape(self) -> str:
        """The shape of the spending; a rule that adds a burn rate or a forecast keeps its spend."""
        return self.spending.shape

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        beside = _taken(state)
        if self.burn is None and self.forecast is None and not beside:
            return self.spending.take(state, pane, vitals)
        balance = self.spending.balance(state, pane, vitals)
        readings = self.spending.take(state, pane, vitals)
        readings += self._projections(beside, pane, vitals, balance)
        state.update({name: held for name, held in beside.items() if held})
        if not readings:
            return []
        measures, outlook = self._measures(beside, balance), self._outlook(beside, balance)
        return [
            reading._replace(beside=measures, outlook=outlook) if not reading.facet else reading
            for reading in readings
        ]

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """Add the open panes to the spend; burn rate and forecast read closed panes only."""
        beside = _taken(state)
        readings = self.spending.peek(state, opened)
        if readings and beside:
            balance = self.spending.balance(state, opened[-1][0])
            outlook = self._outlook(beside, balance)
            readings = [reading._replace(outlook=outlook) for reading in readings]
        state.update(beside)
        return readings

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """That of the spending."""
        return self.spending.headroom(_spending(state))

    def settled(self, state: dict[str, Any]) -> range:
        """Those of the spending."""
        return self.spending.settled(_spending(state))

    def quiet(self, state: dict[str, Any]) -> bool:
        """That of the spending; burn rate and forecast read every closed pane."""
        if self.burn is not None or self.forecast is not None or any(name in state for name in _BESIDE):
            return False
        return self.spending.quiet(state)

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which something may change without a call; NEVER: the next pane."""
        spending = _spending(state)
        wakes = self.spending.wakes(spending)
        beside = _renewed(dict(state)) if "hours" in state.get("forecast", ()) else state
        if "burn" in beside:
            wakes = min(wakes, self.burn.wakes(beside["burn"]) if self.burn else NEVER)
        told = beside.get("forecast", {})
        if told:
            wakes = min(wakes, self.forecast.wakes(told, self.pane) if self.forecast else NEVER)
        hourly = self.forecast is not None and (bool(spending) or "told" in told)
        return min(wakes, self.history.wakes(beside, hourly=hourly))

    def _projections(
        self, beside: dict[str, Any], pane: int, vitals: Vitals | None, balance: Balance
    ) -> list[Reading]:
        """The readings of the burn rate and of the forecast. beside: their states, and the history."""
        amount = 0 if vitals is None else self.spending.thresholds.amount(vitals)
        history = self.history
        hour_ends = history.take(beside, pane, amount)
        for quarter, late in vitals.late.items() if vitals is not None else ():
            history.add_late(beside, quarter * QUARTER_HOUR, self.spending.thresholds.amount(late))
        hours = whole_hours(beside)
        rates, told = beside.setdefault("burn", {}), beside.setdefault("forecast", {})
        readings: list[Reading] = []
        if self.burn is not None:
            readings += self.burn.take(rates, (pane, amount), balance, hours)
        elif rates:
            readings += self._end("burn", rates.get("begin"), balance)
            rates.clear()
        if self.forecast is not None:
            readings += self.forecast.take(told, balance, hours if hour_ends else None)
        elif told:
            readings += self._end("forecast", told.get("told", (None,))[0], balance)
            told.clear()
        if self.burn is None and self.forecast is None:
            beside.pop("hours", None)
        elif hour_ends:
            history.drop_zeros(beside)
        return readings

    def _end(self, facet: str, begin: str | None, balance: Balance) -> list[Reading]:
        if begin is None:
            return []
        note, thresholds = "this part of the rule was removed", self.spending.thresholds
        spent, limit = balance.spent / thresholds.scale, thresholds.limit / thresholds.scale
        return [Reading(balance.at, "clear", spent, limit, begin=begin, facet=facet, note=note)]

    def _measures(self, beside: dict[str, Any], balance: Balance) -> dict[str, float]:
        measures: dict[str, float] = {}
        if self.burn is not None:
            measures["burn_1h"] = self.burn.rate(beside.get("burn", {}))
        if self.forecast is not None:
            measures |= self.forecast.measures(beside.get("forecast", {}), balance.ends)
        return measures

    def _outlook(self, beside: dict[str, Any], balance: Balance) -> Outlook | None:
        """What the forecast expects, and the burn rate of the last hour; None without either."""
        outlook = self.forecast.outlook(beside.get("forecast", {}), balance) if self.forecast else None
        if self.burn is None:
            return outlook
        rate = self.burn.rate(beside.get("burn", {}))
        return msgspec.structs.replace(outlook or Outlook(), rate=rate, window=span(HOUR))


def _taken(state: dict[str, Any]) -> dict[str, Any]:
    """Take the states beside that of the spending out of a state."""
    return _renewed({name: state.pop(name) for name in _BESIDE if name in state})


def _spending(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the spending alone."""
    return {name: held for name, held in state.items() if name not in _BESIDE}


def _renewed(beside: dict[str, Any]) -> dict[str, Any]:
    """The hours are in their place; former versions kept them with the forecast."""
    if "hours" in beside.get("forecast", ()):
        beside["forecast"] = dict(beside["forecast"])
        beside["hours"] = beside["forecast"].pop("hours")
    return beside
