"""A budget of a trailing window of hours or days."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Balance, Spend
from llmvitals.window import FOREVER, NEVER, QUARTER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.trailing import Trailing
    from llmvitals.rules.kinds.budget.thresholds import Reported, Thresholds

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Rolling:
    """A budget of the trailing window.

    State: that of the window of closed panes, whose samples are a Spend; "told" (see thresholds.Reported);
    "begin" and "at" while it fires; "due": the pane at whose end the balance is read.

    Late calls are spent at the end of the quarter of an hour of their own time, if that is in the window.

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

    def balance(self, state: dict[str, Any], pane: int, vitals: Vitals | None = None) -> Balance:
        """The balance of the window that ends with a pane, with what the pane holds."""
        ring, first = state.get("ring", ()), self._first(pane)
        if ring and ring[0][0] >= first:
            held = [state["sum"][0]]
        else:
            held = [sample[0] for bucket, sample in ring if bucket >= first]
        spent, calls, unpriced = reduce(Spend.plus, map(_whole, held), Spend())
        balance = Balance((pane + 1) * self.pane, spent, state.get("begin", ""), None, calls, unpriced)
        return balance if vitals is None else balance.plus(self._spend(pane, vitals))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if "sum" in state and len(state["sum"][0]) < len(Spend()):
            for sums, *_ in (state["sum"], *(sample for _, sample in state["ring"])):
                sums[:] = _whole(sums)
        changed = vitals is not None or self.trailing.changes(state) <= pane
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([*self.thresholds.spend(vitals)], 0, {}))
            for bucket, spend in self._late(pane, vitals):
                _insert(state, bucket, spend)
        balance = self.balance(state, pane)
        reported: Reported = state.setdefault("told", self.thresholds.fresh)
        same = reported[1] == self.thresholds.limit
        if reported[0] and same and self.thresholds.released(balance.spent) and balance.at > state["at"]:
            readings = self.thresholds.ended(reported, balance)
            del state["begin"], state["at"]
            reported[:] = [0, self.thresholds.limit, reported[2] + 1]
        else:
            readings = self._update(state, balance)
        if changed and (due := self.thresholds.due(pane, self.pane, reported)) < FOREVER:
            state["due"] = due
        if state.get("due", FOREVER) <= pane:
            del state["due"]
            readings.append(
                self.thresholds.read_balance(reported, balance._replace(begin=state.get("begin", "")))
            )
        if "ring" not in state and not reported[0]:
            del state["told"]
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: list[Reading] = []
        spends = [(pane, self._spend(pane, vitals)) for pane, vitals in opened]
        more, first = Spend(), 0
        for pane, spend in spends:
            more = more.plus(spend)
            while spends[first][0] < self.trailing.begins(pane):
                more = more.plus([-gone for gone in spends[first][1]])
                first += 1
            readings = self._update(state, self.balance(state, pane).plus(more)) or readings
        return readings

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """What is left until the next threshold, as if nothing left the window."""
        spent = state["sum"][0][0] if "sum" in state else 0
        return self.thresholds.headroom(state.get("told", self.thresholds.fresh), spent)

    def settled(self, state: dict[str, Any]) -> range:
        """None."""
        del state
        return range(0)

    def quiet(self, state: dict[str, Any]) -> bool:
        """Whether no alert fires, and the balance is not shown."""
        return self.thresholds.quiet(state.get("told", self.thresholds.fresh))

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which something relevant leaves the window; NEVER: the next pane."""
        reported: Reported = state.get("told", self.thresholds.fresh)
        if reported[1] != self.thresholds.limit:
            return NEVER
        relevant = self.thresholds.shown or reported[0]
        leaves = self.trailing.changes(state) if relevant else self.trailing.empties(state)
        due: int = state.get("due", FOREVER)
        return min(leaves, due)

    def _first(self, pane: int) -> int:
        """The first bucket of the window that ends with a pane."""
        return self.trailing.begins(pane) // self.trailing.panes

    def _spend(self, pane: int, vitals: Vitals) -> Spend:
        """What a pane adds to the window that ends with it."""
        late = (spend for _, spend in self._late(pane, vitals))
        return reduce(Spend.plus, late, self.thresholds.spend(vitals))

    def _late(self, pane: int, vitals: Vitals) -> list[tuple[int, Spend]]:
        """Buckets of the window and the late spend in them."""
        bucket = self.trailing.panes * self.pane
        ends = (
            (min(((quarter + 1) * QUARTER_HOUR - 1) // bucket, pane // self.trailing.panes), late)
            for quarter, late in sorted(vitals.late.items())
        )
        return [(end, self.thresholds.spend(late)) for end, late in ends if end >= self._first(pane)]

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


def _whole(spent: Sequence[int]) -> Spend:
    """The sums of a sample; former versions had the first only."""
    return Spend(*spent)


def _insert(state: dict[str, Any], bucket: int, spend: Spend) -> None:
    """Add a spend to an earlier bucket of a window that is not empty."""
    ring = state["ring"]
    place = next(place for place in range(len(ring), -1, -1) if not place or ring[place - 1][0] <= bucket)
    if place and ring[place - 1][0] == bucket:
        sums, *rest = ring[place - 1][1]
        ring[place - 1][1] = ([*_whole(sums).plus(spend)], *rest)
    else:
        ring.insert(place, [bucket, ([*spend], 0, {})])
    sums, *rest = state["sum"]
    state["sum"] = ([*_whole(sums).plus(spend)], *rest)
