"""A budget of the last hours or days, whenever they begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Stand
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.trailing import Trailing
    from llmvitals.rules.kinds.budget.thresholds import Thresholds, Told

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Rolling:
    """A budget of the last `trailing` panes.

    State: that of the trailing window of closed panes; "told" (see Thresholds); "begin" and "at" while it fires.

    "due": the pane at whose end it is told how the budget stands.

    An episode begins when a step is first passed and ends when the spend is clearly below the lowest one.
    It is named by the slot of the window's length that it began in, and its number since the window was
    empty: told from open panes or from closed ones, before or after a restart, its name is the same.
    """

    thresholds: Thresholds
    pane: int
    trailing: Trailing

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.trailing.panes} {self.trailing.buckets} {self.thresholds.totals} {self.pane}"

    def stand(self, state: dict[str, Any], pane: int) -> Stand:
        """How the window stands that ends with a pane."""
        return Stand((pane + 1) * self.pane, self.trailing.future(state, pane), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if self.thresholds.shown and (vitals is not None or self.trailing.changes(state) <= pane):
            state["due"] = self.thresholds.due(pane, self.pane)
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([self.thresholds.amount(vitals)], 0, {}))
        stand = self.stand(state, pane)
        told: Told = state.setdefault("told", self.thresholds.fresh)
        same = told[1] == self.thresholds.limit
        if told[0] and same and self.thresholds.released(stand.spent) and stand.at > state["at"]:
            readings = self.thresholds.ended(told, stand)
            del state["begin"], state["at"]
            told[:] = [0, self.thresholds.limit, told[2] + 1]
        else:
            readings = self._climb(state, stand)
        if state.get("due", FOREVER) <= pane:
            del state["due"]
            readings.append(self.thresholds.stands(told, stand))
        if "ring" not in state and not told[0]:
            del state["told"]
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        amounts = [(pane, self.thresholds.amount(vitals)) for pane, vitals in opened]
        more = first = 0
        for pane, amount in amounts:
            more += amount
            while amounts[first][0] < self.trailing.begins(pane):
                more -= amounts[first][1]
                first += 1
            at, spent, begin, ends = self.stand(state, pane)
            readings = self._climb(state, Stand(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the window lets go of something that matters; NEVER: the next there is."""
        told: Told = state.get("told", self.thresholds.fresh)
        if told[1] != self.thresholds.limit:
            return NEVER
        matters = self.thresholds.shown or told[0]
        lets_go = self.trailing.changes(state) if matters else self.trailing.empties(state)
        due: int = state.get("due", FOREVER)
        return min(lets_go, due)

    def _climb(self, state: dict[str, Any], stand: Stand) -> list[Reading]:
        told: Told = state.get("told", self.thresholds.fresh)
        length = self.trailing.panes * self.trailing.buckets * self.pane
        begin = stand.begin or str(stand.at // length)
        readings = self.thresholds.climb(told, stand._replace(begin=begin))
        if readings and told[0]:
            state.update(told=told, begin=begin, at=max(stand.at, state.get("at", 0)))
        elif readings:
            del state["begin"], state["at"]
        return readings
