"""A budget of a trailing window of hours or days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Balance
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.trailing import Trailing
    from llmvitals.rules.kinds.budget.thresholds import Reported, Thresholds

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Rolling:
    """A budget of the trailing window.

    State: that of the window of closed panes; "told" (see thresholds.Reported); "begin" and "at" while it
    fires; "due": the pane at whose end the balance is shown.

    An episode begins when a step is first passed and ends when the spend is clearly below the lowest one.
    Its name consists of the time at which it began, in whole windows, and its number since the window was
    empty. So open and closed panes give the same name, before and after a restart.
    """

    thresholds: Thresholds
    pane: int
    trailing: Trailing

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"{self.trailing.panes} {self.trailing.buckets} {self.thresholds.totals} {self.pane}"

    def balance(self, state: dict[str, Any], pane: int) -> Balance:
        """The balance of the window that ends with a pane."""
        return Balance((pane + 1) * self.pane, self.trailing.future(state, pane), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if self.thresholds.shown and (vitals is not None or self.trailing.changes(state) <= pane):
            state["due"] = self.thresholds.due(pane, self.pane)
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([self.thresholds.amount(vitals)], 0, {}))
        balance = self.balance(state, pane)
        reported: Reported = state.setdefault("told", self.thresholds.fresh)
        same = reported[1] == self.thresholds.limit
        if reported[0] and same and self.thresholds.released(balance.spent) and balance.at > state["at"]:
            readings = self.thresholds.ended(reported, balance)
            del state["begin"], state["at"]
            reported[:] = [0, self.thresholds.limit, reported[2] + 1]
        else:
            readings = self._update(state, balance)
        if state.get("due", FOREVER) <= pane:
            del state["due"]
            readings.append(self.thresholds.read_balance(reported, balance))
        if "ring" not in state and not reported[0]:
            del state["told"]
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: list[Reading] = []
        amounts = [(pane, self.thresholds.amount(vitals)) for pane, vitals in opened]
        more = first = 0
        for pane, amount in amounts:
            more += amount
            while amounts[first][0] < self.trailing.begins(pane):
                more -= amounts[first][1]
                first += 1
            at, spent, begin, ends = self.balance(state, pane)
            readings = self._update(state, Balance(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which something relevant leaves the window; NEVER: the next pane."""
        reported: Reported = state.get("told", self.thresholds.fresh)
        if reported[1] != self.thresholds.limit:
            return NEVER
        relevant = self.thresholds.shown or reported[0]
        leaves = self.trailing.changes(state) if relevant else self.trailing.empties(state)
        due: int = state.get("due", FOREVER)
        return min(leaves, due)

    def _update(self, state: dict[str, Any], balance: Balance) -> list[Reading]:
        reported: Reported = state.get("told", self.thresholds.fresh)
        length = self.trailing.panes * self.trailing.buckets * self.pane
        begin = balance.begin or str(balance.at // length)
        readings = self.thresholds.update(reported, balance._replace(begin=begin))
        if readings and reported[0]:
            state.update(told=reported, begin=begin, at=max(balance.at, state.get("at", 0)))
        elif readings:
            del state["begin"], state["at"]
        return readings
