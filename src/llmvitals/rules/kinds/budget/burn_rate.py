"""The burn rate of a budget: the spend in pairs of windows, both of which have to exceed a factor.

The long window shows that the spend is significant, the short one that it continues.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmvitals.metrics.quantity import local, span
from llmvitals.record.reading import Reading
from llmvitals.rules.kinds.budget.thresholds import RELEASE, Balance
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from datetime import tzinfo

    from llmvitals.rules.kinds.budget.burn_windows import WindowPair
    from llmvitals.rules.kinds.budget.thresholds import Thresholds


@lru_cache
def _rings(window_pairs: tuple[WindowPair, ...]) -> dict[str, WindowPair]:
    return {pair.key: pair for pair in window_pairs}


@dataclass(frozen=True, slots=True)
class BurnRate:
    """Evaluates the pairs of windows of one budget.

    period: the length (µs) over which an even spend uses up the limit. floor: an integer like the limit. An
    episode begins when a pair is exceeded, the floor is spent in its long window and the budget is not
    exhausted: an exhausted budget raises no new burn-rate alert. It ends when one window of each pair is
    below RELEASE per cent of its factor.

    State: pair's key → its ring [newest bucket, sum, buckets' sums, oldest first]; "fired" and "begin".
    """

    thresholds: Thresholds
    window_pairs: tuple[WindowPair, ...]
    hour: WindowPair
    pane: int
    period: int
    floor: int
    zone: tzinfo

    def take(self, state: dict[str, Any], pane: int, amount: int, balance: Balance) -> list[Reading]:
        """Read a closed pane. amount: what it spent. balance: after it."""
        wanted = _rings((*self.window_pairs, self.hour))
        if amount:
            for key, pair in wanted.items():
                ring = state.setdefault(key, [pane // pair.panes, 0, [0]])
                _slide(ring, pane // pair.panes, pair.long)
                ring[1] += amount
                ring[2][-1] += amount
        for key in [key for key in state if key not in ("fired", "begin")]:
            if key in wanted:
                _slide(state[key], pane // wanted[key].panes, wanted[key].long)
            if key not in wanted or not state[key][1]:
                del state[key]
        return self._readings(state, balance)

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which a relevant rate falls, or the state is empty; NEVER: the next pane."""
        wanted = _rings((*self.window_pairs, self.hour))
        if not state.keys() - ("fired", "begin") <= wanted.keys():
            return NEVER  # rings of earlier pairs have to be removed
        rings = [(pair, state[key]) for key, pair in wanted.items() if key in state]
        if "fired" in state:
            return min(((ring[0] + 1) * pair.panes for pair, ring in rings), default=FOREVER)
        return max(((ring[0] + pair.long) * pair.panes for pair, ring in rings), default=FOREVER)

    def hourly(self, state: dict[str, Any]) -> float:
        """The spend of the last hour, as a multiple of an even spend."""
        ring = state.get(self.hour.key)
        window = self.hour.long * self.hour.panes * self.pane
        return ring[1] * self.period / (self.thresholds.limit * window) if ring else 0.0

    def _readings(self, state: dict[str, Any], balance: Balance) -> list[Reading]:
        fired: int = state.get("fired", 0)
        burning = next((pair for pair in self.window_pairs if self._exceeded(state, pair)), None)
        if burning and burning.factor > fired and (fired or balance.spent < self.thresholds.limit):
            state["fired"] = burning.factor
            begin = state.setdefault("begin", f"burn-{balance.at}")
            reading = self._reading(balance, begin, self._note(state, burning, balance))
            return [reading._replace(verdict="breach", level=f"{burning.factor / 100:g}x")]
        if not fired or any(self._exceeded(state, g, RELEASE) for g in self.window_pairs):
            return []
        begin = state.pop("begin")
        del state["fired"]
        pair = next((pair for pair in self.window_pairs if pair.factor <= fired), self.hour)
        return [self._reading(balance, begin, self._resolved_note(state, pair))]

    def _reading(self, balance: Balance, begin: str, note: str) -> Reading:
        spent, limit = balance.spent / self.thresholds.scale, self.thresholds.limit / self.thresholds.scale
        return Reading(
            balance.at, "clear", spent, limit, begin=begin, facet="burn", note=note, ends=balance.ends
        )

    def _exceeded(self, state: dict[str, Any], pair: WindowPair, ease: int = 100) -> bool:
        """Whether both windows reach `ease` per cent of the factor; at 100 the floor has to be spent too."""
        ring = state.get(pair.key)
        if ring is None or (ease == 100 and ring[1] < self.floor):
            return False
        least: int = pair.factor * ease * self.thresholds.limit * pair.panes * self.pane
        scale = 10_000 * self.period
        long, short = ring[1], sum(ring[2][-pair.short :])
        return bool(long * scale >= least * pair.long and short * scale >= least * pair.short)

    def _resolved_note(self, state: dict[str, Any], pair: WindowPair) -> str:
        window = pair.short * pair.panes * self.pane
        total: int = sum(state.get(pair.key, (0, 0, []))[2][-pair.short :])
        times = total * self.period / (self.thresholds.limit * window)
        return f"{times:.1f} times the even rate over the last {span(window)}"

    def _note(self, state: dict[str, Any], pair: WindowPair, balance: Balance) -> str:
        window = pair.long * pair.panes * self.pane
        total: int = state[pair.key][1]
        rest = max(self.thresholds.limit - balance.spent, 0)
        text = f"{self.thresholds.text(total)} within {span(window)}"
        if not rest:
            return f"{text}, and the budget is exhausted"
        gone = balance.at + rest * window // total
        if balance.ends is not None and gone > balance.ends:
            spent = balance.spent + total * (balance.ends - balance.at) // window
            moment = local(balance.ends, self.zone)
            total_text = self.thresholds.text(spent)
            return f"{text}: at this rate {total_text} will be spent by the end of the period, on {moment}"
        left, moment = span(gone - balance.at), local(gone, self.zone)
        return f"{text}: at this rate the budget is exhausted in {left}, on {moment}"


def _slide(ring: list[Any], bucket: int, most: int) -> None:
    """Advance a ring to a bucket; it keeps the last `most`."""
    steps = bucket - ring[0]
    if steps <= 0:
        return
    sums: list[int] = ring[2]
    sums.extend([0] * min(steps, most))
    gone = len(sums) - most
    if gone > 0:
        ring[1] -= sum(sums[:gone])
        del sums[:gone]
    ring[0] = bucket
