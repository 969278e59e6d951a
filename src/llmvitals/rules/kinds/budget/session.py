"""A budget of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Balance
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.thresholds import Reported, Thresholds

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class SessionBudget:
    """A budget that begins with the first call, and ends after `idle` µs without calls.

    State: "spent" and "last" (pane) of closed panes; "told" (see Thresholds); "begin". Its episodes are named
    like those of a rolling budget.
    """

    thresholds: Thresholds
    pane: int
    idle: int

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"idle {self.thresholds.totals} {self.pane}"

    def balance(self, state: dict[str, Any], pane: int) -> Balance:
        """The balance of the session at a pane's end."""
        return Balance((pane + 1) * self.pane, state.get("spent", 0), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if vitals is not None:
            state["spent"] = state.get("spent", 0) + self.thresholds.amount(vitals)
            state["last"] = pane
            state.setdefault("told", self.thresholds.fresh)
        balance = self.balance(state, pane)
        if pane >= self.wakes(state) > NEVER:
            readings = self.thresholds.ended(state["told"], balance)
            state.clear()
            return readings
        return self._update(state, balance)

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: list[Reading] = []
        more, last = 0, state.get("last")
        for pane, vitals in opened:
            if last is not None and pane - last > self.idle // self.pane:
                break  # the next session of the same name; the previous one has to close first
            last = pane
            more += self.thresholds.amount(vitals)
            at, spent, begin, ends = self.balance(state, pane)
            readings = self._update(state, Balance(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end the session is over without further calls; NEVER: the next pane."""
        if state.get("told", self.thresholds.fresh)[1] != self.thresholds.limit:
            return NEVER
        return int(state["last"]) + self.idle // self.pane if "last" in state else FOREVER

    def _update(self, state: dict[str, Any], balance: Balance) -> list[Reading]:
        reported: Reported = state.get("told", self.thresholds.fresh)
        begin = balance.begin or str(balance.at // self.idle)
        readings = self.thresholds.update(reported, balance._replace(begin=begin))
        if readings:
            state.update(told=reported, begin=begin)
        return readings
