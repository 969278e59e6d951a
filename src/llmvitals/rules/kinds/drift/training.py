"""Learns a reference from minutes of embeddings: first their mean, then the usual distance from it.

The distances are those of other minutes than the mean is made of, because its own minutes are closer to it
than later ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.rules.kinds.drift import calibration, sources, unusual
from llmvitals.rules.kinds.drift import weekly_profile as weekly
from llmvitals.rules.kinds.drift.reference import KEPT, VERSION, Head, Reference
from llmvitals.rules.kinds.drift.witness import small
from llmvitals.stats import axes
from llmvitals.stats.hotelling import joint, opened, radius, roots
from llmvitals.stats.whitening import Whitening, whitening
from llmvitals.window import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.rules.kinds.drift.calls import Distinct
    from llmvitals.rules.kinds.drift.step import Looks, Step

SHARES: Final = (0.1, 0.3, 0.1, 0.15, 0.05, 0.3)
"""The parts of the learning, in turn: the scatter of single calls; centroids; the usual novelty; the mean of
unusual calls; what a single minute may weigh; limits. The mean of all calls is that of parts 1 to 3."""
FEWEST: Final = (6, 12, 6, 12, 8, 24)
"""The least number of steps of each part; of the last one also of blocks of maxima."""
MEAN, CAP, LIMITS = 3, 4, 5
"""Parts."""
AXES: Final = (64, axes.KEPT)
"""Axes of the scatter of x and of z. With 32 of x, the axes that are told apart
differ so much from the mean of the others that topics which lie along small ones are found later."""
MOST_CAP: Final = 6 * HOUR // MINUTE
CALLS: Final = 4
"""Calls for each minute of the time to learn: with fewer it takes longer, …"""
LONGEST: Final = 3.5
"""… but no longer than so many times."""
GAP: Final = 12 * HOUR // MINUTE
"""The most minutes that a time without calls counts as."""
DISTINCT: Final = 0.5
"""The share of the calls that have to be distinct ones of known vectors, if `topics` is to look at these."""


@dataclass(frozen=True, slots=True)
class Learner:
    """Learns one reference.

    length: minutes of event time that it takes; see SHARES. patient: take longer where calls are few.
    State, {} at first: "part"; "minutes", "steps" and "count" (calls) of it; "learned": all minutes; "end":
    of the last step; "crowding": see sources; "seen": see weekly_profile; "distinct": whether `topics` looks
    at distinct calls; then what each part gathers.
    """

    length: int
    patient: bool = True

    def take(self, state: dict[str, Any], space: str, step: Step) -> Reference | None:
        """Learn a step; returns the reference after the last one."""
        part = state.setdefault("part", 0)
        self._gather(state, part, step)
        if not self._over(state, part):
            return None
        unusual.close(state, part)
        if part == MEAN:
            _whitened(state)
        elif part == CAP:
            for head in state["heads"]:
                head["cap"] = calibration.capped(head.pop("radii"))
            state["alike"] = {"cap": math.inf}
            if state["distinct"]:
                state["joint"] = {"cap": math.inf}
        elif part == LIMITS:
            return self._made(state, space, step.end)
        state.update(part=part + 1, minutes=0, steps=0, count=0)
        return None

    def _gather(self, state: dict[str, Any], part: int, step: Step) -> None:
        passed, seen = self._count(state, step), unusual.distinct_calls(state, step)
        unusual.learn(state, part, step, seen)
        looks = step.looks(seen if state.get("distinct") else None, self._weight(state, part, step))
        if 0 < part <= MEAN:
            self._mean(state, step, looks, seen)
        elif part == CAP:
            for head, (calls, white) in zip(state["heads"], _whites(state, step, looks), strict=True):
                head.setdefault("radii", []).extend([radius(calls, white)] if calls else [])
        elif part == LIMITS:
            self._limit(state, step, looks, seen)
            self._close_block(state, passed)

    def _weight(self, state: dict[str, Any], part: int, step: Step) -> float:
        """What each call of the step weighs."""
        if part >= CAP:
            return sources.weight(step.crowding, sources.usual(state))
        sources.learn(state, step.crowding)
        return 1

    def _mean(self, state: dict[str, Any], step: Step, looks: Looks, seen: Distinct | None) -> None:
        """Add to the means of x, of z, and of x of the distinct calls."""
        heads = state.setdefault("heads", [{}, {}, {}])
        for head, (calls, mean), most in zip(heads[:2], looks, AXES, strict=True):
            if calls:
                unusual.add_mean(head, calls, mean, most)
        if seen is not None:
            unusual.add_calls(heads[-1], seen.x, AXES[0])
        if self.length * sum(SHARES[1:CAP]) >= weekly.WEEK:
            weekly.gather(state, step.end, [mean for _, mean in looks])
        kept = (*state.get("kept", ()), *small(step.moments.sample))
        state["kept"] = nsmallest(KEPT, map(list, kept))

    def share(self, state: dict[str, Any]) -> float:
        """The share of the learning that is done, 0 … 1."""
        part = state.get("part", 0)
        return min(sum(SHARES[:part]) + SHARES[part] * self._done(state, part), 0.99)

    def length_of(self, part: int) -> int:
        """Minutes of a part, at least. No more than six hours are needed to see what a minute may weigh."""
        minutes, cap = (max(int(self.length * SHARES[place]), 1) for place in (part, CAP))
        spared = max(cap - MOST_CAP, 0)
        return minutes - spared if part == CAP else minutes + spared if part == LIMITS else minutes

    @property
    def _block(self) -> int:
        """Minutes of a block: an hour, or less if there would be too few blocks."""
        return max(1, min(HOUR // MINUTE, self.length_of(LIMITS) // FEWEST[LIMITS]))

    def _count(self, state: dict[str, Any], step: Step) -> int:
        """Count a step; returns the minutes since the last one."""
        passed: int = (step.end - state.get("end", step.end - step.minutes * MINUTE)) // MINUTE
        state["end"] = step.end
        passed = min(max(passed, step.minutes), max(GAP, step.minutes))
        state["minutes"] = state.get("minutes", 0) + passed
        state["learned"] = state.get("learned", 0) + passed
        state["steps"] = state.get("steps", 0) + 1
        state["count"] = state.get("count", 0) + step.moments.count
        state["seen"] = weekly.with_hour(state.get("seen", b""), step.hour)
        return passed

    def _done(self, state: dict[str, Any], part: int) -> float:
        """The share of a part that is done: of its minutes, and of its calls unless it takes too long."""
        share: float = state.get("minutes", 0) / self.length_of(part)
        calls = state.get("count", 0) / (CALLS * self.length_of(part)) if self.patient else 1.0
        return min(share, max(calls, share / LONGEST))

    def _over(self, state: dict[str, Any], part: int) -> bool:
        enough = part < LIMITS or len(state["heads"][0].get("blocks", ())) >= FEWEST[LIMITS]
        return enough and state["steps"] >= FEWEST[part] and self._done(state, part) >= 1

    def _limit(self, state: dict[str, Any], step: Step, looks: Looks, seen: Distinct | None) -> None:
        (calls, mean), _ = looks
        alike = _whitening(state["heads"][0]).alike(mean)
        whites = [*_whites(state, step, looks), (calls, alike)]
        for head, (count, white) in zip((*state["heads"], state["alike"]), whites, strict=True):
            calibration.record(head, count, white, head.get("calls", state["heads"][0]["calls"]))
        if seen is not None and "joint" in state:
            both = state["heads"][0], state["unusual"]["head"]
            found = joint(*(roots(opened(head["memory"]), head["calls"]) for head in both))
            calibration.add_roots(state["joint"], found)

    def _close_block(self, state: dict[str, Any], passed: int) -> None:
        state["block"] = state.get("block", 0) + passed
        if state["block"] >= self._block:
            for head in (*state["heads"], state["alike"]):
                calibration.close(head)
            for head in unusual.heads(state):
                calibration.close(head)
        state["block"] %= self._block

    def _made(self, state: dict[str, Any], space: str, end: int) -> Reference:
        step = state["minutes"] / state["steps"]
        sizes, overdispersion = (self._block, step), state["apart"] / state["held"]
        borrow = calibration.BORROWED * calibration.wider(overdispersion)
        first, second = state["heads"]
        measured = calibration.fitted(first, *sizes, borrow=borrow if state["distinct"] else 0.0)
        topics = Head(_whitening(first), measured)
        shape = Head(_whitening(second), calibration.fitted(second, *sizes))
        seen, unusual_head, unusual_calls = unusual.learned(state, *sizes, borrow)
        both = calibration.fitted(state["joint"], *sizes, borrow=borrow) if "joint" in state else None
        return Reference(
            VERSION,
            space,
            end,
            state["heads"][1]["calls"],
            overdispersion,
            topics,
            shape,
            calibration.fitted(state["alike"], *sizes),
            tuple((trace, x) for _, trace, x in state["kept"]),
            seen,
            unusual_head,
            unusual_calls,
            state["minutes"],
            state["seen"] if self.length >= DAY // MINUTE else b"",
            state["heads"][0]["calls"] if state["distinct"] else 0,
            both,
            0.0,
            sources.usual(state),
        )


def _whitened(state: dict[str, Any]) -> None:
    """Replace the sums by the means and the axes of `topics` and `shape`."""
    everything, shape, distinct = state["heads"]
    state["distinct"] = distinct.get("calls", 0) >= DISTINCT * everything["calls"]
    state["distinct"] &= state["unusual"] is not None
    heads = []
    for place, head in enumerate((distinct if state["distinct"] else everything, shape)):
        found, season = axes.found(head, AXES[place]), None
        if "hours" in state:
            whole = np.frombuffer((everything, shape)[place]["mean"], "<f8")
            season = weekly.season(state, place, whole, found.directions)
        made = whitening(np.frombuffer(head["mean"], "<f8"), found, season)
        heads.append({"whitening": msgspec.msgpack.encode(made), "calls": head["calls"]})
    state["heads"] = heads
    state.pop("hours", None)


def _whitening(head: dict[str, Any]) -> Whitening:
    return msgspec.msgpack.decode(head["whitening"], type=Whitening)


def _whites(state: dict[str, Any], step: Step, looks: Looks) -> list[tuple[float, axes.Floats]]:
    """The calls and the whitened means of a step. It also adds up the overdispersion."""
    topics = _whitening(state["heads"][0])
    (calls, now), (count, shape) = looks
    mean = np.frombuffer(topics.mean, "<f4").astype(np.float64)
    if calls:
        apart, alone = now - mean, max(1 - float(mean @ mean), 1e-9)
        state["apart"] = state.get("apart", 0.0) + float(apart @ apart * calls / alone)
        state["held"] = state.get("held", 0) + 1
    return [
        (calls, topics.white(now, step.hour)),
        (count, _whitening(state["heads"][1]).white(shape, step.hour)),
    ]
