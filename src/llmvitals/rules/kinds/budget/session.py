"""A budget of a session."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Balance, Spend
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.thresholds import Reported, Thresholds

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class SessionBudget:
    """A budget that begins with the first call, and ends after `idle` µs without calls.

    Late calls are spent if the session goes on when they come; they do not prolong it.

    State: "spent", "calls", "unpriced" and "last" (pane) of closed panes; "told" (see Thresholds); "begin";
    "due": the pane at whose end the balance is read. Its episodes are named like those of a rolling budget.
    """

    thresholds: Thresholds
    pane: int
    idle: int

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"idle {self.thresholds.totals} {self.pane}"

    def balance(self, state: dict[str, Any], pane: int, vitals: Vitals | None = None) -> Balance:
        """The balance of the session at a pane's end, with what the pane holds."""
        spent, calls, unpriced = (state.get(name, 0) for name in ("spent", "calls", "unpriced"))
        balance = Balance((pane + 1) * self.pane, spent, state.get("begin", ""), None, calls, unpriced)
        return balance if vitals is None else balance.plus(self._spend(state, vitals))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if vitals is not None and ("last" in state or _on_time(vitals)):
            after = self.balance(state, pane, vitals)
            state.update(spent=after.spent, calls=after.calls, unpriced=after.unpriced)
            if _on_time(vitals):
                state["last"] = pane
            state.setdefault("told", self.thresholds.fresh)
        balance = self.balance(state, pane)
        if self._over(state) <= pane:
            readings = self.thresholds.ended(state["told"], balance._replace(ends=balance.at))
            state.clear()
            return readings
        readings = self._update(state, balance)
        if vitals is not None and "told" in state:
            state["due"] = self.thresholds.due(pane, self.pane, state["told"])
        if state.get("due", FOREVER) <= pane:
            readings.append(self.thresholds.read_balance(state["told"], self.balance(state, pane)))
            state["due"] = FOREVER
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: list[Reading] = []
        more, last = Spend(), state.get("last")
        for pane, vitals in opened:
            if last is not None and pane - last > self.idle // self.pane:
                break  # the next session of the same name; the previous one has to close first
            if _on_time(vitals):
                last = pane
            more = more.plus(self._spend(state, vitals))
            balance = self.balance(state, pane).plus(more)
            readings = self._update(state, balance) or readings
        return readings

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """What is left until the next threshold."""
        return self.thresholds.headroom(state.get("told", self.thresholds.fresh), state.get("spent", 0))

    def settled(self, state: dict[str, Any]) -> range:
        """None."""
        del state
        return range(0)

    def quiet(self, state: dict[str, Any]) -> bool:
        """Whether no alert fires, and the balance is not shown."""
        return self.thresholds.quiet(state.get("told", self.thresholds.fresh))

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end the session is over without further calls, or its balance is read.

        NEVER: the next pane.
        """
        if state.get("told", self.thresholds.fresh)[1] != self.thresholds.limit:
            return NEVER
        due: int = state.get("due", FOREVER)
        return min(self._over(state), due)

    def _over(self, state: dict[str, Any]) -> int:
        return int(state["last"]) + self.idle // self.pane if "last" in state else FOREVER

    def _spend(self, state: dict[str, Any], vitals: Vitals) -> Spend:
        """What a pane adds to the session; late calls only if that began before."""
        late = vitals.late.values() if "last" in state else ()
        return reduce(Spend.plus, map(self.thresholds.spend, late), self.thresholds.spend(vitals))

    def _update(self, state: dict[str, Any], balance: Balance) -> list[Reading]:
        reported: Reported = state.get("told", self.thresholds.fresh)
        begin = balance.begin or str(balance.at // self.idle)
        readings = self.thresholds.update(reported, balance._replace(begin=begin))
        if readings:
            state.update(told=reported, begin=begin)
        return readings


def _on_time(vitals: Vitals) -> bool:
    return bool(vitals.total("calls")) or not vitals.late
