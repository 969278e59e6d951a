"""Learns a reference from minutes of embeddings: first their mean, then the usual distance from it.

The distances are those of other minutes than the mean is made of, because its own minutes are closer to it
than later ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.rules.kinds.drift import calibration
from llmvitals.rules.kinds.drift import weekly_profile as weekly
from llmvitals.rules.kinds.drift.reference import KEPT, VERSION, Head, Reference
from llmvitals.rules.kinds.drift.witness import small
from llmvitals.sketch.random_features import NORM, UNIT
from llmvitals.stats import axes
from llmvitals.stats.hotelling import radius
from llmvitals.stats.whitening import Whitening, whitening
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.sketch.moments import Moments

FEWEST: Final = 24
"""The least number of steps in each part of the learning, and of blocks of maxima."""
_CAPPED: Final = 6 * HOUR // MINUTE


class Step(NamedTuple):
    """One or more minutes that are read at once.

    end: event time, µs. minutes: how many. means: of x and of z, of length about 1.
    """

    end: int
    minutes: int
    moments: Moments

    @property
    def hour(self) -> int:
        """Of the week."""
        return weekly.hour(self.end)

    @property
    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of x and of z, of length about 1."""
        x, z = self.moments.sums()
        return x / (self.moments.count * NORM), z / (self.moments.count * UNIT)


@dataclass(frozen=True, slots=True)
class Learner:
    """Learns one reference.

    length: minutes with calls that it takes: half of them for the mean and its axes, an eighth (at most six
    hours) for what a single minute may weigh, the rest for the limits.
    State, {} at first: "part", "minutes" and "steps" of it; then what each part gathers.
    """

    length: int

    def take(self, state: dict[str, Any], space: str, step: Step) -> Reference | None:
        """Learn a step; returns the reference after the last one."""
        part = state.setdefault("part", 0)
        state["minutes"] = state.get("minutes", 0) + step.minutes
        state["steps"] = state.get("steps", 0) + 1
        (_mean, self._cap, self._limit)[part](state, step)
        if part == 0 and self.lengths[0] >= weekly.WEEK:
            weekly.gather(state, step.end, step.means)
        if state["steps"] < FEWEST or state["minutes"] < self.lengths[part] or not self._enough(state):
            return None
        state.update(part=part + 1, minutes=0, steps=0)
        if part == 0:
            _whitened(state)
        elif part == 1:
            for head in state["heads"]:
                head["cap"] = calibration.capped(head.pop("radii"))
            state["alike"] = {"cap": math.inf}
        else:
            return self._made(state, space, step.end)
        return None

    def share(self, state: dict[str, Any]) -> float:
        """The share of the learning that is done, 0 … 1."""
        part = state.get("part", 0)
        done = sum(self.lengths[:part]) + min(state.get("minutes", 0), self.lengths[part])
        return min(float(done) / sum(self.lengths), 0.99)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Minutes of each part, at least; none is of fewer steps than FEWEST."""
        half = self.length // 2
        cap = min(self.length // 8, _CAPPED)
        return half, cap, self.length - half - cap

    @property
    def _block(self) -> int:
        """Minutes of a block: an hour, or less if there would be too few blocks."""
        return max(1, min(HOUR // MINUTE, self.lengths[2] // FEWEST))

    def _enough(self, state: dict[str, Any]) -> bool:
        return state["part"] < 2 or len(state["heads"][0].get("blocks", ())) >= FEWEST

    def _cap(self, state: dict[str, Any], step: Step) -> None:
        for head, white in zip(state["heads"], _whites(state, step), strict=True):
            head.setdefault("radii", []).append(radius(step.moments.count, white))

    def _limit(self, state: dict[str, Any], step: Step) -> None:
        whites = (*_whites(state, step), _whitening(state["heads"][0]).alike(step.means[0]))
        state["block"] = state.get("block", 0) + step.minutes
        for head, white in zip((*state["heads"], state["alike"]), whites, strict=True):
            calibration.record(head, step.moments.count, white, state["calls"])
            if state["block"] >= self._block:
                calibration.close(head)
        state["block"] %= self._block

    def _made(self, state: dict[str, Any], space: str, end: int) -> Reference:
        topics, shape = (
            Head(_whitening(head), calibration.fitted(head, self._block)) for head in state["heads"]
        )
        alike = calibration.fitted(state["alike"], self._block)
        kept = tuple((trace, x) for _, trace, x in state["kept"])
        spread = state["apart"] / state["held"]
        return Reference(VERSION, space, end, state["calls"], spread, topics, shape, alike, kept)


def _mean(state: dict[str, Any], step: Step) -> None:
    """Add to the mean, and to the scatter of √n·mean about it (as it was before: Welford's update)."""
    before, calls = state.get("calls", 0), step.moments.count
    heads = state.setdefault("heads", [{}, {}])
    weight = np.sqrt(calls * before / (calls + before))
    for head, mean in zip(heads, step.means, strict=True):
        old = np.frombuffer(head["mean"], "<f8") if before else mean
        if before:
            axes.gather(head, (mean - old) * weight)
        head["mean"] = (old + (mean - old) * calls / (calls + before)).astype("<f8").tobytes()
    state["calls"] = before + calls
    kept = (*state.get("kept", ()), *small(step.moments.sample))
    state["kept"] = nsmallest(KEPT, map(list, kept))


def _whitened(state: dict[str, Any]) -> None:
    """Replace the sums of the first part by the mean and the axes."""
    heads = []
    for place, head in enumerate(state["heads"]):
        mean, found = np.frombuffer(head["mean"], "<f8"), axes.found(head)
        season = weekly.season(state, place, mean, found.directions) if "hours" in state else None
        heads.append({"whitening": msgspec.msgpack.encode(whitening(mean, found, season))})
    state["heads"] = heads
    state.pop("hours", None)


def _whitening(head: dict[str, Any]) -> Whitening:
    return msgspec.msgpack.decode(head["whitening"], type=Whitening)


def _whites(state: dict[str, Any], step: Step) -> Sequence[axes.Floats]:
    """The whitened means of a step. It also adds up the overdispersion."""
    topics = _whitening(state["heads"][0])
    mean, now = np.frombuffer(topics.mean, "<f4").astype(np.float64), step.means
    apart = now[0] - mean
    alone = max(1 - float(mean @ mean), 1e-9)
    state["apart"] = state.get("apart", 0.0) + float(apart @ apart * step.moments.count / alone)
    state["held"] = state.get("held", 0) + 1
    return topics.white(now[0], step.hour), _whitening(state["heads"][1]).white(now[1], step.hour)
