"""The burn rate of a budget: the spend in pairs of windows, both of which have to exceed a factor.

The long window shows that the spend is significant, the short one that it continues, and a projection that
the budget would be overspent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.quantity import local, span
from llmvitals.record.alert import Outlook
from llmvitals.record.reading import Reading
from llmvitals.rules.kinds.budget.burn_projection import PEAKS, BurnProjection
from llmvitals.rules.kinds.budget.thresholds import RELEASE, Balance
from llmvitals.window import FOREVER, HOUR, MINUTE, NEVER, window_start

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from llmvitals.rules.kinds.budget.burn_windows import WindowPair
    from llmvitals.rules.kinds.budget.thresholds import Thresholds

    Hours = Sequence[int]

QUIET: Final = 2 * HOUR
"""How long no pair is exceeded before a burn is over, because rare calls let short windows rise and fall."""
LONG: Final = 120
"""The same, as a part of the period, while a long window is still above its factor: 6 h of a month."""
_EPISODE: Final = frozenset(("fired", "begin", "quiet", "due"))
_BESIDE: Final = _EPISODE | {"peaks", "after", "burns", "rest"}
"""The keys of the state that are no rings."""


@dataclass(frozen=True)
class BurnRate:
    """Evaluates the pairs of windows of one budget.

    period: the length (µs) over which an even spend uses up the limit. floor: an integer like the limit. An
    episode begins when a pair is exceeded, the floor is spent in its long window, the budget is not exhausted
    and is projected to be (see BurnProjection): an exhausted budget raises no new burn-rate alert. It ends
    when one window of each pair has been below RELEASE per cent of its factor for a time (QUIET, LONG).

    State: pair's key → its ring [newest bucket, sum, buckets' sums, oldest first]; "fired", "begin", "quiet"
    (since when no pair is exceeded, µs) and "due" (the pane at whose end the next values are read) while it
    fires; that of BurnProjection.
    """

    thresholds: Thresholds
    window_pairs: tuple[WindowPair, ...]
    hour: WindowPair
    pane: int
    period: int
    floor: int
    zone: tzinfo

    @cached_property
    def _rings(self) -> dict[str, WindowPair]:
        """Key → the pair whose ring has it."""
        return {pair.key: pair for pair in (*self.window_pairs, self.hour)}

    @property
    def projection(self) -> BurnProjection:
        """What decides whether a pair that is exceeded matters."""
        return BurnProjection(self.thresholds, self.period, self.pane)

    def take(
        self, state: dict[str, Any], spent: tuple[int, int], balance: Balance, hours: Hours
    ) -> list[Reading]:
        """Read a closed pane. spent: the pane and its spend. balance: after it. hours: see SpendHistory."""
        pane, amount = spent
        wanted = self._rings
        if amount:
            for key, pair in wanted.items():
                ring = state.setdefault(key, [pane // pair.panes, 0, [0]])
                _slide(ring, pane // pair.panes, pair.long)
                ring[1] += amount
                ring[2][-1] += amount
        for key in [key for key in state if key not in _BESIDE]:
            if key in wanted:
                if not amount:
                    _slide(state[key], pane // wanted[key].panes, wanted[key].long)
            elif "fired" in state:
                state["quiet"] = 0  # of other pairs: it is over unless these burn
            if key not in wanted or not state[key][1]:
                del state[key]
        readings = self._readings(state, balance, hours)
        if amount:
            PEAKS.begin(state, pane * self.pane)
            for pair in self.window_pairs:
                PEAKS.add(state, pair.key, state[pair.key][1], self._window(state, pair))
        self._drop(state, balance.at)
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which a relevant rate falls, or something is dropped; NEVER: the next pane."""
        wanted, fired, ends = self._rings, "fired" in state, list[int]()
        for key, ring in state.items():
            if key in wanted:
                pair = wanted[key]
                ends.append((ring[0] + (1 if fired else pair.long)) * pair.panes)
            elif key not in _BESIDE:
                return NEVER  # rings of earlier pairs have to be removed
        if fired:
            due: int = state.get("due", NEVER)
            return min([due, *ends])
        if ends:
            return max(ends)
        return min(PEAKS.ends(state) // self.pane - 1, FOREVER) if "peaks" in state else FOREVER

    def rate(self, state: dict[str, Any], pair: WindowPair | None = None) -> float:
        """The spend of a pair's long window as a multiple of an even spend; by default of the last hour."""
        pair = pair or self.hour
        ring = state.get(pair.key)
        length = pair.long * pair.panes * self.pane
        return ring[1] * self.period / (self.thresholds.limit * length) if ring else 0.0

    def _readings(self, state: dict[str, Any], balance: Balance, hours: Hours) -> list[Reading]:
        fired: int = state.get("fired", 0)
        burning = self._burning(state, balance, hours)
        if burning:
            state["fired"], state["after"] = burning.factor, FOREVER
            state.setdefault("begin", f"burn-{balance.at}")
            if not fired:
                begins = {pair.key: self._window(state, pair)[0] for pair in self.window_pairs}
                PEAKS.burn(state, balance.at, begins)
            reading = self._reading(state, burning, balance, hours)
            reading = reading._replace(verdict="breach", level=f"{burning.factor / 100:g}x")
        elif not fired:
            return []
        else:
            pair = next((pair for pair in self.window_pairs if pair.factor <= fired), self.hour)
            reading = self._reading(state, pair, balance, hours)
            if self._over(state, balance.at):
                state["after"] = balance.at
                for key in _EPISODE & state.keys():
                    del state[key]
                return [reading._replace(verdict="clear", note=self._resolved_note(state, pair))]
            if balance.at < (state.get("due", NEVER) + 1) * self.pane:
                return []
        minute = window_start(balance.at, MINUTE) + MINUTE
        state["due"] = max(minute // self.pane - 1, balance.at // self.pane)
        return [reading]

    def _burning(self, state: dict[str, Any], balance: Balance, hours: Hours) -> WindowPair | None:
        """The pair with the greatest factor that begins to burn now."""
        fired: int = state.get("fired", 0)
        if not fired and balance.spent >= self.thresholds.limit:
            return None
        for pair in self.window_pairs:
            if pair.factor <= fired:
                return None
            if (
                self._exceeded(state, pair)
                and self.projection.course(state, pair, balance, hours).least > self.thresholds.limit
            ):
                return pair
        return None

    def _over(self, state: dict[str, Any], at: int) -> bool:
        """Whether a burn is over. Updates since when no pair is exceeded."""
        if any(self._exceeded(state, pair, RELEASE) for pair in self.window_pairs):
            state.pop("quiet", None)
            return False
        since: int = state.setdefault("quiet", at)
        fast = any(self._reached(state, pair, RELEASE, pair.long) for pair in self.window_pairs)
        return at - since >= (max(QUIET, self.period // LONG) if fast else QUIET)

    def _reading(self, state: dict[str, Any], pair: WindowPair, balance: Balance, hours: Hours) -> Reading:
        """A "hold" with the outlook; a breach's note says how the budget will be exhausted."""
        scale, limit = self.thresholds.scale, self.thresholds.limit
        window = pair.long * pair.panes * self.pane
        total: int = state[pair.key][1] if pair.key in state else 0
        course = self.projection.course(state, pair, balance, hours) if total else None
        gone = balance.at + max(limit - balance.spent, 0) * window // total if total else None
        if gone is not None and balance.ends is not None and gone > balance.ends:
            gone = None
        outlook = Outlook(
            rate=self.rate(state, pair),
            window=span(window),
            expected=course.expected / scale if course else None,
            exhausted=gone,
        )
        text = f"{self.thresholds.text(total)} within {span(window)}"
        if balance.spent >= limit:
            note = f"{text}, and the budget is exhausted"
        elif gone is not None:
            left, moment = span(gone - balance.at), local(gone, self.zone)
            note = f"{text}: at this rate the budget is exhausted in {left}, on {moment}"
        elif course and balance.ends is not None:
            about, moment = self.thresholds.text(course.expected), local(balance.ends, self.zone)
            note = f"{text}: about {about} will be spent by the end of the period, on {moment}"
        else:
            note = text
        return Reading(
            balance.at,
            "hold",
            balance.spent / scale,
            limit / scale,
            begin=state["begin"],
            facet="burn",
            note=note,
            ends=balance.ends,
            outlook=outlook,
            unpriced=balance.without_price,
        )

    def _window(self, state: dict[str, Any], pair: WindowPair) -> tuple[int, int]:
        """The begin of a pair's long window, and of its newest bucket, µs."""
        bucket = pair.panes * self.pane
        newest = (state[pair.key][0] if pair.key in state else 0) * bucket
        return newest + bucket - pair.long * bucket, newest

    def _exceeded(self, state: dict[str, Any], pair: WindowPair, ease: int = 100) -> bool:
        """Whether both windows reach `ease` per cent of the factor; at 100 the floor has to be spent too."""
        if ease == 100 and state.get(pair.key, (0, 0))[1] < self.floor:
            return False
        return all(self._reached(state, pair, ease, buckets) for buckets in (pair.long, pair.short))

    def _reached(self, state: dict[str, Any], pair: WindowPair, ease: int, buckets: int) -> bool:
        """Whether the last buckets reach `ease` per cent of the factor."""
        ring = state.get(pair.key)
        if ring is None:
            return False
        total = ring[1] if buckets == pair.long else sum(ring[2][-buckets:])
        least: int = pair.factor * ease * self.thresholds.limit * pair.panes * self.pane * buckets
        return bool(total * 10_000 * self.period >= least)

    def _resolved_note(self, state: dict[str, Any], pair: WindowPair) -> str:
        window = pair.short * pair.panes * self.pane
        total: int = sum(state.get(pair.key, (0, 0, []))[2][-pair.short :])
        times = total * self.period / (self.thresholds.limit * window)
        return f"{times:.1f} times the even rate over the last {span(window)}"

    def _drop(self, state: dict[str, Any], at: int) -> None:
        """Drop what is usual when nothing was spent for two weeks."""
        if state.keys() <= _BESIDE and "fired" not in state:
            state.pop("rest", None)
            if "peaks" not in state or at >= PEAKS.ends(state):
                state.clear()


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
