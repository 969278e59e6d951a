"""Weighs parts: the evidence that a metric has changed, and whether it is enough to fire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.rules.kinds.regression.blocks import SIDES
from llmvitals.rules.kinds.regression.samples import plus
from llmvitals.stats import normaliser, shiryaev
from llmvitals.window import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.rules.kinds.regression.blocks import Blocks, Part
    from llmvitals.rules.kinds.regression.gauge import Gauge

LOOK: Final = 10 * MINUTE
"""How often the evidence is looked at."""
CLEAR: Final = 2
"""The change, of those that are tested, by which days are told from chance (see normaliser)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of one series; see RegressionDetector, which has the same fields."""

    gauge: Gauge
    blocks: Blocks
    sides: tuple[Side, ...]
    few: int
    effect: float
    months: float

    def noise(self, state: dict[str, Any]) -> dict[str, Any]:
        """What evidence has been; learned anew for another effect."""
        noise: dict[str, Any] = state.get("noise") or {}
        if noise.get("effect") != self.effect:
            noise = {"effect": self.effect, "up": {}, "down": {}}
        state["noise"] = noise
        return noise

    def level(self, state: dict[str, Any], side: Side) -> float:
        """The log evidence that fires: the number of blocks between two false alarms.

        Infinite before a day is learned: until then nobody knows what is noise.
        """
        a_month = 30 * normaliser.blocks_a_day(self.noise(state)[side])
        return math.log(max(a_month * self.months * len(self.sides), 1.0)) if a_month else math.inf

    def add(self, state: dict[str, Any], part: Part) -> None:
        """Update the evidence of each side with a part.

        A side's state is that of `shiryaev` over the blocks that ended, and of the run since evidence began:
        "since" (µs), "lean" (Page's statistic), "sample", "expected".
        """
        if ended := self.blocks.ended(state, part.hour):
            self._end(state, ended)
        tallies = self.blocks.tallies(part, state["usual"])
        self.blocks.add(state, part, tallies)
        for side in self.sides:
            seen = state.setdefault(side, {})
            seen["lean"] = max(0.0, seen.get("lean", 0.0) + self.gauge.lean(tallies[side]))
            if seen["lean"]:
                gather(state, seen, part)
            else:
                for name in ("since", "sample", "expected"):
                    seen.pop(name, None)

    def passed(self, state: dict[str, Any], at: int) -> Side | None:
        """The side whose evidence passes the level, if it is time to look; at: the end of a part, µs."""
        if not state.get("ready") or at // LOOK == state.get("look"):
            return None
        state["look"] = at // LOOK
        return next((side for side in self.sides if self._beyond(state, side)), None)

    def _beyond(self, state: dict[str, Any], side: Side) -> bool:
        """Whether the evidence of a side, with that of the unfinished block, passes the level."""
        seen, tally = state[side], state["block"][side]
        if not seen["lean"] or seen["sample"][0][0] < self.few or not self.gauge.enough(tally):
            return False
        level = self.level(state, side)
        if shiryaev.highest(seen, normaliser.MOST) < level:  # whatever the block says: so it mostly is
            return False
        trial = {"r": seen.get("r")}
        shiryaev.step(trial, normaliser.divided(self.noise(state)[side], self.gauge.evidence(tally)))
        if shiryaev.level(trial) < level:
            return False
        seen["r"] = trial["r"]
        return True

    def _end(self, state: dict[str, Any], block: dict[str, Any]) -> None:
        """Add a block that ended to the evidence, and learn it."""
        for side in SIDES:
            noise, logs = self.noise(state)[side], self.gauge.evidence(block[side])
            if side in self.sides and state.get("ready"):
                shiryaev.step(state.setdefault(side, {}), normaliser.divided(noise, logs))
            clear = CLEAR * self.gauge.noises + self.gauge.noises // 2
            normaliser.learn(noise, logs, block["hour"] * HOUR // DAY, clear)


def gather(state: dict[str, Any], run: dict[str, Any], part: Part) -> None:
    """Add a part to a run of calls. State of the run: "since" (µs), "sample", "expected"."""
    run.setdefault("since", part.since)
    run["sample"] = plus(run.get("sample"), part.sample)
    run["expected"] = run.get("expected", 0.0) + part.sample[0][0] * state["usual"]["value"]
