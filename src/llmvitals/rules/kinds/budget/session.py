"""A budget that lasts as long as its calls: a session's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Stand
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.thresholds import Thresholds, Told

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Idle:
    """A budget that begins with the first call, and ends when none has come for `idle` µs.

    State: "spent" and "last" (pane) of closed panes; "told" (see Thresholds), "begin". Named as a
    rolling one.
    """

    thresholds: Thresholds
    pane: int
    idle: int

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"idle {self.thresholds.totals} {self.pane}"

    def stand(self, state: dict[str, Any], pane: int) -> Stand:
        """How the session stands at a pane's end."""
        return Stand((pane + 1) * self.pane, state.get("spent", 0), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if vitals is not None:
            state["spent"] = state.get("spent", 0) + self.thresholds.amount(vitals)
            state["last"] = pane
            state.setdefault("told", self.thresholds.fresh)
        stand = self.stand(state, pane)
        if pane >= self.wakes(state) > NEVER:
            readings = self.thresholds.ended(state["told"], stand)
            state.clear()
            return readings
        return self._climb(state, stand)

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        more, last = 0, state.get("last")
        for pane, vitals in opened:
            if last is not None and pane - last > self.idle // self.pane:
                break  # Another session of the same name: what was before it has first to be closed.
            last = pane
            more += self.thresholds.amount(vitals)
            at, spent, begin, ends = self.stand(state, pane)
            readings = self._climb(state, Stand(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end the session is over if nothing more comes; NEVER: the next there is."""
        if state.get("told", self.thresholds.fresh)[1] != self.thresholds.limit:
            return NEVER
        return int(state["last"]) + self.idle // self.pane if "last" in state else FOREVER

    def _climb(self, state: dict[str, Any], stand: Stand) -> list[Reading]:
        told: Told = state.get("told", self.thresholds.fresh)
        begin = stand.begin or str(stand.at // self.idle)
        readings = self.thresholds.climb(told, stand._replace(begin=begin))
        if readings:
            state.update(told=told, begin=begin)
        return readings
