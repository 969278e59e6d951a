"""Compares the calls of an hour with the same hours of past weeks or days (seasonal baseline)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from llmvitals.record.reading import Reading
from llmvitals.rules.condition import minute
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.regression import hours
from llmvitals.rules.kinds.regression.blocks import SIDES, Blocks, Part, hour_of
from llmvitals.rules.kinds.regression.gauge import plus
from llmvitals.stats import normaliser, shiryaev
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Gauge, Sample

LOOK: Final = 10 * MINUTE
"""How often the evidence is looked at."""
ENOUGH: Final = 10
"""So many times `few` calls make a baseline; hours are joined until there are as many."""
SHORTEST: Final = 120
"""The least number of minutes before an alert resolves."""
RESOLVE_ODDS: Final = 4.0
"""The log odds against the change that resolve an alert; even the least change has to be unlikely."""
CLEAR: Final = 2
"""The change, of those that are tested, by which days are told from chance (see normaliser)."""
_GIVEN_UP: Final = "nothing to compare for a day; no longer waiting"


def since_text(since: int, now: int) -> str:
    """Format when a change began; since, now: µs.

    >>> since_text(1_780_304_400_000_000, 1_780_308_000_000_000)
    'Mon 09:00 UTC'
    """
    moment = datetime.fromtimestamp(since // SECOND, UTC)
    return f"{moment:%a %H:%M UTC}" if now - since < 6 * DAY else f"{moment:%d %b %H:%M UTC}"


@dataclass(frozen=True, slots=True)
class RegressionDetector(Detector):
    """The detector of one series.

    season: hours of a week or a day. past: the seasons that are compared; least: those that are needed. few:
    the calls of a part of a block, and of a change. effect: see Gauge. months: the months between two false
    alarms of this series. pane: µs.

    State: "open": [last pane of the minute, its sample]; "hour", "sum": the current hour and its sample;
    "hours": past hours (see hours); "usual": the baseline of the current hour, None without; "ready": whether
    it is of enough hours to alarm, or only to learn; "part", "block":
    see blocks; "noise": the effect, and of each side what evidence has been (see normaliser); "look": of
    the last look at the evidence; "up", "down": the evidence of each side (see `_weigh`); "told": the side
    that fires and the alternative that fits best; "trial": the block since it fired; "now": the value and
    the usual one that are shown; "recent": the calls since; "last": the last pane that was compared.
    """

    metric: str
    gauge: Gauge
    sides: tuple[Side, ...]
    season: int
    past: int
    least: int
    few: int
    effect: float
    months: float
    pane: int
    blocks: Blocks = field(init=False)
    """How minutes are collected."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", Blocks(self.gauge, self.few, self.effect))

    @property
    def shape(self) -> str:
        """What the state depends on. Limits are not included, so that a changed limit keeps past weeks."""
        return f"regression {self.metric} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        readings = []
        if "open" in state and state["open"][0] < pane:
            readings = self._close(state, *state.pop("open"))
        if vitals is not None:
            sample = self.gauge.sample(vitals)
            if sample[0][0]:
                last = minute.last(pane, self.pane)
                if "open" in state:
                    sample = plus(state["open"][1], sample)
                state["open"] = [last, sample]
        if "open" in state and state["open"][0] <= pane:
            readings += self._close(state, *state.pop("open"))
        if "told" in state and pane >= self._ends(state):
            at = (pane + 1) * self.pane
            readings.append(Reading(at, "none", 0, 0, note=_GIVEN_UP))
            self._forget(state)
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The end of a minute with calls, or of the day after which an alert resolves."""
        if "open" in state:
            last: int = state["open"][0]
            return last
        return self._ends(state) if "told" in state else FOREVER

    def _ends(self, state: dict[str, Any]) -> int:
        last: int = state["last"]
        return last + DAY // self.pane

    def _close(self, state: dict[str, Any], pane: int, sample: Sample) -> list[Reading]:
        """Evaluate a minute with calls that is over; pane: its last one."""
        at = (pane + 1) * self.pane
        if "noise" not in state:
            self._upgrade(state)
        if state.get("hour") != hour_of(at):
            self._turn(state, hour_of(at))
        if "told" in state and state["told"][0] not in self.sides:
            self._forget(state)
            return [Reading(at, "none", 0, 0, note="the rule was changed")]
        part = self.blocks.part(state, at, self.gauge.minute(sample))
        usual = state["usual"]
        if usual is None:
            if part:
                state["sum"] = plus(state.get("sum"), part.sample)
            return [Reading(at, "hold" if "told" in state else "clear", 0, 0)]
        if part:
            state["sum"] = plus(state.get("sum"), self.gauge.fair(part.sample, usual, self.effect))
        if "told" in state:
            return self._retest(state, at, sample, part)
        return self._weigh(state, part) if part else [Reading(at, "clear", 0, 0)]

    def _turn(self, state: dict[str, Any], hour: int) -> None:
        """Begin another hour: store the previous one, and compute the baseline of the new one."""
        if "sum" in state:
            self._remember(state)
        found, enough = hours.rows(state), ENOUGH * self.few
        for least in (self.least, 1):
            past = hours.similar(found, hour, season=self.season, past=self.past, least=least, enough=enough)
            state["ready"] = least == self.least
            if len(past):
                break
        state["hour"] = hour
        state["usual"] = dict(self.gauge.usual(past, found)) if len(past) else None

    def _remember(self, state: dict[str, Any]) -> None:
        """Store the hour; one with too few calls is joined with the next, within a day."""
        total = state["sum"]
        row, value = self.gauge.row(total), self.gauge.value(total)
        since = state.setdefault("joined", state["hour"])
        if row is not None and value is not None:
            hours.remember(state, (state["hour"], total[0][0], *row, value), self.past * self.season)
        elif state["hour"] - since < DAY // HOUR:
            return
        del state["sum"], state["joined"]

    def _upgrade(self, state: dict[str, Any]) -> None:
        """Drop the evidence of version 0.1, which is not comparable; its hours and its alert are kept."""
        if "told" in state:
            side, likely = state["told"]
            state.update(told=[side, min(likely + 1, 4) * self.gauge.noises], trial={})
        for side in SIDES:
            state.pop(side, None)
        self._noise(state)

    def _noise(self, state: dict[str, Any]) -> dict[str, Any]:
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
        a_month = 30 * normaliser.blocks_a_day(self._noise(state)[side])
        return math.log(max(a_month * self.months * len(self.sides), 1.0)) if a_month else math.inf

    def _weigh(self, state: dict[str, Any], part: Part) -> list[Reading]:
        """Update the evidence of each side with a part.

        A side's state is that of `shiryaev` over the blocks that ended, and of the run since evidence began:
        "since" (µs), "lean" (Page's statistic), "sample", "expected".
        """
        if ended := self.blocks.ended(state, part.hour):
            self._end(state, ended)
        tallies = self.blocks.tallies(part, state["usual"])
        block = self.blocks.add(state, part, tallies)
        for side in self.sides:
            seen = state.setdefault(side, {})
            lean = self.gauge.lean(tallies[side])
            seen["lean"] = max(0.0, seen.get("lean", 0.0) + lean)
            if not seen["lean"]:
                for name in ("since", "sample", "expected"):
                    seen.pop(name, None)
                continue
            self._gather(state, seen, part)
        at = part.at
        if state.get("ready") and at // LOOK != state.get("look"):
            state["look"] = at // LOOK
            for side in self.sides:
                if self._beyond(state, block, side):
                    return [self._report(state, at, side)]
        return [Reading(at, "clear", 0, 0)]

    def _beyond(self, state: dict[str, Any], block: dict[str, Any], side: Side) -> bool:
        """Whether the evidence of a side, with that of the unfinished block, passes the level."""
        seen = state[side]
        if not seen["lean"] or seen["sample"][0][0] < self.few or not self.gauge.enough(block[side]):
            return False
        trial = {"r": seen.get("r")}
        shiryaev.step(trial, normaliser.divided(self._noise(state)[side], self.gauge.evidence(block[side])))
        if shiryaev.level(trial) < self.level(state, side):
            return False
        seen["r"] = trial["r"]
        return True

    def _end(self, state: dict[str, Any], block: dict[str, Any]) -> None:
        """Add a block that ended to the evidence, and learn it."""
        for side in SIDES:
            noise, logs = self._noise(state)[side], self.gauge.evidence(block[side])
            if side in self.sides and state.get("ready"):
                shiryaev.step(state.setdefault(side, {}), normaliser.divided(noise, logs))
            clear = CLEAR * self.gauge.noises + self.gauge.noises // 2
            normaliser.learn(noise, logs, block["hour"] * HOUR // DAY, clear)

    def _report(self, state: dict[str, Any], at: int, side: Side) -> Reading:
        seen = state[side]
        since, likely = seen["since"], seen["r"].index(max(seen["r"]))
        reading = self._reading(at, "breach", seen)
        for each in SIDES:
            normaliser.forget_since(self._noise(state)[each], since // DAY)
        self._forget(state)
        state["now"] = [reading.value, reading.limit]
        state.update(told=[side, likely], trial={}, last=at // self.pane - 1)
        times = f"{reading.value / reading.limit:.2g} times as much, " if reading.limit > 0 else ""
        return reading._replace(note=f"{times}since {since_text(since, at)}")

    def _retest(self, state: dict[str, Any], at: int, sample: Sample, part: Part | None) -> list[Reading]:
        """Test whether the calls since the alert fired contradict it: Page's test in the other direction."""
        if part and self._contradicts(state, part):
            reading = self._reading(at, "clear", state["trial"])
            self._forget(state)
            return [reading._replace(note="back to the usual level")]
        return [self._present(state, at, sample)]

    def _contradicts(self, state: dict[str, Any], part: Part) -> bool:
        trial, (side, likely) = state["trial"], state["told"]
        tally = self.gauge.tally(part.sample, state["usual"], side, self.effect)
        if not any(tally):
            return False  # The usual is such that nothing can be told: the alert ends after a day.
        state["last"] = part.at // self.pane - 1
        before = trial.get("tally") or [0.0] * len(tally)
        trial["tally"] = [a + b for a, b in zip(before, tally, strict=True)]
        self._gather(state, trial, part)
        logs, noises = self.gauge.evidence(trial["tally"]), self.gauge.noises
        much, least = logs[likely // noises * noises], logs[0]
        minutes = (part.at - trial["since"]) // MINUTE
        if minutes >= SHORTEST and much <= -RESOLVE_ODDS and least <= 0:
            return True
        if much > 0:
            state["trial"] = {}
        return False

    def _present(self, state: dict[str, Any], at: int, sample: Sample) -> Reading:
        """The value of the last calls, of at least `few`: that of a single one would say nothing."""
        recent = state.setdefault("recent", {})
        self._gather(state, recent, Part(at - MINUTE, at, sample))
        reading = self._reading(at, "hold", recent)
        if recent["sample"][0][0] >= self.few or "now" not in state:
            state["now"], state["recent"] = [reading.value, reading.limit], {}
        value, limit = state["now"]
        return reading._replace(value=value, limit=limit)

    def _gather(self, state: dict[str, Any], run: dict[str, Any], part: Part) -> None:
        run.setdefault("since", part.since)
        run["sample"] = plus(run.get("sample"), part.sample)
        run["expected"] = run.get("expected", 0.0) + part.sample[0][0] * state["usual"]["value"]

    def _reading(self, at: int, verdict: Verdict, run: dict[str, Any]) -> Reading:
        sample = run["sample"]
        return Reading(at, verdict, self.gauge.value(sample) or 0.0, run["expected"] / sample[0][0])

    def _forget(self, state: dict[str, Any]) -> None:
        for name in (*SIDES, "told", "trial", "now", "recent", "block"):
            state.pop(name, None)
