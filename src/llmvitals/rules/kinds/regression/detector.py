"""Compares the calls of an hour with the same hours of past weeks or days (seasonal baseline)."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from llmvitals.record.reading import Reading
from llmvitals.rules.condition import minute
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.regression import hours
from llmvitals.rules.kinds.regression.blocks import SIDES, Blocks, Part, hour_of
from llmvitals.rules.kinds.regression.evidence import Evidence, gather
from llmvitals.rules.kinds.regression.samples import plus
from llmvitals.stats import normaliser
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmvitals.metrics.metric import Side
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Gauge
    from llmvitals.rules.kinds.regression.samples import Columns, Sample

ENOUGH: Final = 10
"""So many times `few` calls make a baseline; hours are joined until there are as many."""
SHORTEST: Final = 120
"""The least number of minutes before an alert resolves."""
RESOLVE_ODDS: Final = 4.0
"""The log odds against the change that resolve an alert; even the least change has to be unlikely."""
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
    the last look at the evidence; "up", "down": the evidence of each side (see evidence); "told": the side
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
    evidence: Evidence = field(init=False)
    """How parts are weighed."""

    def __post_init__(self) -> None:
        blocks = Blocks(self.gauge, self.few, self.effect)
        evidence = Evidence(self.gauge, blocks, self.sides, self.few, self.effect, self.months)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "evidence", evidence)

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

    def take_until_breach(
        self, state: dict[str, Any], closed: Sequence[tuple[int, Vitals]]
    ) -> tuple[int, list[Reading]]:
        """Read whole minutes together: most only add to a part."""
        count = 0
        while count < len(closed) and "open" in state and "told" not in state:
            readings = self.take(state, *closed[count])
            count += 1
        if "told" in state:
            return count, readings if count else []
        whole = [*itertools.takewhile(lambda entry: minute.ends(entry[0], self.pane), closed[count:])]
        if not whole:
            return count, []
        kept, columns = self.gauge.minutes([vitals for _, vitals in whole]).with_calls()
        ats = [(whole[place][0] + 1) * self.pane for place in kept]
        for at, readings in self._read_minutes(state, ats, columns):
            if "told" in state:
                return count + bisect.bisect_left(whole, at // self.pane, key=itemgetter(0)), readings
        return count + len(whole), []

    def _read_minutes(
        self, state: dict[str, Any], ats: list[int], columns: Columns
    ) -> Iterator[tuple[int, list[Reading]]]:
        """Evaluate minutes with calls; ats: their ends, µs. Gives the end of each part, and what it says."""
        if ats and "noise" not in state:
            self._upgrade(state)
        first = 0
        while first < len(ats):
            hour = hour_of(ats[first])
            if state.get("hour") != hour:
                self._turn(state, hour)
            end = bisect.bisect_right(ats, (hour + 1) * HOUR, first)
            for part in self.blocks.parts(state, ats, columns, slice(first, end)):
                self._learn(state, part)
                if state["usual"] is not None:
                    yield part.at, self._weigh(state, part)
            first = end

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
        if part:
            self._learn(state, part)
        if state["usual"] is None:
            return [Reading(at, "hold" if "told" in state else "clear", 0, 0)]
        if "told" in state:
            return self._retest(state, at, sample, part)
        return self._weigh(state, part) if part else [Reading(at, "clear", 0, 0)]

    def _learn(self, state: dict[str, Any], part: Part) -> None:
        """Add a part to its hour."""
        usual, sample = state["usual"], part.sample
        fair = sample if usual is None else self.gauge.fair(sample, usual, self.effect)
        state["sum"] = plus(state.get("sum"), fair)

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
        self.evidence.noise(state)

    def _weigh(self, state: dict[str, Any], part: Part) -> list[Reading]:
        """Add a part to the evidence, and report a change that passes the level."""
        self.evidence.add(state, part)
        side = self.evidence.passed(state, part.at)
        return [self._report(state, part.at, side) if side else Reading(part.at, "clear", 0, 0)]

    def _report(self, state: dict[str, Any], at: int, side: Side) -> Reading:
        seen = state[side]
        since, likely = seen["since"], seen["r"].index(max(seen["r"]))
        reading = self._reading(at, "breach", seen)
        for each in SIDES:
            normaliser.forget_since(self.evidence.noise(state)[each], since // DAY)
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
        gather(state, trial, part)
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
        gather(state, recent, Part(at - MINUTE, at, sample))
        reading = self._reading(at, "hold", recent)
        if recent["sample"][0][0] >= self.few or "now" not in state:
            state["now"], state["recent"] = [reading.value, reading.limit], {}
        value, limit = state["now"]
        return reading._replace(value=value, limit=limit)

    def _reading(self, at: int, verdict: Verdict, run: dict[str, Any]) -> Reading:
        sample = run["sample"]
        return Reading(at, verdict, self.gauge.value(sample) or 0.0, run["expected"] / sample[0][0])

    def _forget(self, state: dict[str, Any]) -> None:
        for name in (*SIDES, "told", "trial", "now", "recent", "block"):
            state.pop(name, None)
