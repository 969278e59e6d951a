"""Compares each minute with the same hours of past weeks or days (seasonal baseline)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.record.reading import Reading
from llmvitals.rules.condition import minute
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.kinds.regression import hours
from llmvitals.rules.kinds.regression.gauge import plus
from llmvitals.stats import shiryaev
from llmvitals.stats.dispersion import dispersion, factor
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.record.reading import Verdict
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.regression.gauge import Gauge, Sample

SHORTEST: Final = 120
"""The least number of minutes with calls before an alert resolves."""
RESOLVE_ODDS: Final = 4.0
"""The log odds against the change that resolve an alert; even the least change has to be unlikely."""
_GIVEN_UP: Final = "nothing to compare for a day; no longer waiting"
_SIDES: Final[tuple[Side, Side]] = ("up", "down")


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
    the calls that an hour needs to be compared, and a change to be reported. effect: see Gauge. level: the
    log evidence that fires. pane: µs.

    State: "open": [last pane of the minute, its sample]; "hour", "sum": the current hour and its sample;
    "hours": past hours (see hours); "usual": the baseline of the current hour, with "calls" (the usual
    number), "guess" (the factor of the noise because the baseline is an estimate) and "noise" (the dispersion
    of each side, once it is known); "up", "down": the evidence of each side (see `_weigh`); "told": the side
    that fires and the alternative that fits best; "trial": the sums since it fired; "now": the value
    and the usual one that are shown; "recent": the calls since; "last": the last pane that was compared.
    """

    metric: str
    gauge: Gauge
    sides: tuple[Side, ...]
    season: int
    past: int
    least: int
    few: int
    effect: float
    level: float
    pane: int

    @property
    def shape(self) -> str:
        """What the state depends on. Limits are not included, so that a changed limit keeps past weeks."""
        return f"regression {self.metric} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        readings = []
        if "open" in state and state["open"][0] < pane:
            readings = self._close(state)
        if vitals is not None:
            sample = self.gauge.sample(vitals)
            if sample[0][0]:
                previous = state["open"][1] if "open" in state else None
                state["open"] = [minute.last(pane, self.pane), plus(previous, sample)]
        if "open" in state and state["open"][0] <= pane:
            readings += self._close(state)
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

    def _close(self, state: dict[str, Any]) -> list[Reading]:
        """Evaluate a minute with calls that is over."""
        pane, sample = state.pop("open")
        at = (pane + 1) * self.pane
        hour = (at - 1) // HOUR
        if state.get("hour") != hour:
            self._turn(state, hour)
        state["sum"] = plus(state.get("sum"), self.gauge.minute(sample))
        if "told" in state and state["told"][0] not in self.sides:
            self._forget(state)
            return [Reading(at, "none", 0, 0, note="the rule was changed")]
        # A changed rule may read a side whose noise is known only from the next hour on.
        if not set(self.sides) <= set((state["usual"] or {}).get("noise", ())):
            return self._unknown(state, at)
        return self._weigh(state, at, sample) if "told" not in state else self._retest(state, at, sample)

    def _turn(self, state: dict[str, Any], hour: int) -> None:
        """Begin another hour: store the previous one, and compute the baseline of the new one."""
        if "sum" in state:
            self._remember(state)
        found = hours.rows(state)
        past = hours.same(found[found["calls"] >= self.few], hour, self.season, self.past)
        state["hour"], state["usual"] = hour, None
        state.pop("sum", None)
        if not len(past):
            return
        usual: dict[str, Any] = dict(self.gauge.usual(past, found))
        state["usual"] = usual
        usual["calls"] = float(np.median(past["calls"]))
        # The baseline is an estimate from this many hours, each with its own noise.
        usual["guess"] = 1 + 1 / len(past)
        if len(past) >= self.least:
            noise = {side: self._noise(state, found, side) for side in self.sides}
            usual |= {"noise": noise} if all(noise.values()) else {}

    def _noise(self, state: dict[str, Any], found: hours.Rows, side: Side) -> list[float] | None:
        """The dispersion, without the hours of a change that may have begun."""
        since = state.get(side, {}).get("since", FOREVER) // HOUR
        busy = found[(found["calls"] >= self.few) & (found["hour"] < since)]
        off, when = busy[side].astype(float), busy["hour"].astype(np.int64)
        found_noise = dispersion(off, busy["calls"].astype(float), when)
        return None if found_noise is None else [*found_noise]

    def _remember(self, state: dict[str, Any]) -> None:
        total, usual = state["sum"], state.get("usual")
        row, value = self.gauge.row(total), self.gauge.value(total)
        if row is None or value is None:
            return
        off = [
            self.gauge.off(total, usual, side) / math.sqrt(usual["guess"])
            if usual and "told" not in state
            else math.nan
            for side in _SIDES
        ]
        back = self.past * self.season
        hours.remember(state, (state["hour"], total[0][0], *row, value), (off[0], off[1]), back)

    def _unknown(self, state: dict[str, Any], at: int) -> list[Reading]:
        """The reading of an hour without a baseline: evidence and alert do not change."""
        return [Reading(at, "hold" if "told" in state else "clear", 0, 0)]

    def _evidence(self, state: dict[str, Any], sample: Sample, side: Side) -> list[float]:
        usual = state["usual"]
        calls = max(usual["calls"], state["sum"][0][0])
        phi = factor(usual["noise"][side], calls) * usual["guess"]
        return [entry / phi for entry in self.gauge.evidence(sample, usual, side, self.effect)]

    def _weigh(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        """Update the evidence of each side (see shiryaev): "since" (µs), "sample", "expected" of its run."""
        for side in self.sides:
            seen = state.setdefault(side, {})
            shiryaev.step(seen, self._evidence(state, sample, side))
            if not seen["w"]:
                for name in ("since", "sample", "expected"):
                    seen.pop(name, None)
                continue
            self._gather(state, seen, at, sample)
            if shiryaev.level(seen) >= self.level and seen["sample"][0][0] >= self.few:
                return [self._report(state, at, side)]
        return [Reading(at, "clear", 0, 0)]

    def _report(self, state: dict[str, Any], at: int, side: Side) -> Reading:
        seen = state[side]
        since, likely = seen["since"], seen["r"].index(max(seen["r"]))
        reading = self._reading(at, "breach", seen)
        self._forget(state)
        state["now"] = [reading.value, reading.limit]
        hours.doubt(state, since // HOUR)
        state.update(told=[side, likely], trial={}, last=at // self.pane - 1)
        times = f"{reading.value / reading.limit:.2g} times as much, " if reading.limit > 0 else ""
        return reading._replace(note=f"{times}since {since_text(since, at)}")

    def _retest(self, state: dict[str, Any], at: int, sample: Sample) -> list[Reading]:
        """Test whether the calls since the alert fired contradict it: Page's test in the other direction."""
        trial, state["last"] = state["trial"], at // self.pane - 1
        side, likely = state["told"]
        evidence = self._evidence(state, sample, side)
        for name, entry in (("sum", evidence[likely]), ("least", evidence[0])):
            trial[name] = trial.get(name, 0.0) + entry
        self._gather(state, trial, at, sample)
        minutes = trial["minutes"] = trial.get("minutes", 0) + 1
        if minutes >= SHORTEST and trial["sum"] <= -RESOLVE_ODDS and trial["least"] <= 0:
            reading = self._reading(at, "clear", trial)
            self._forget(state)
            return [reading._replace(note="back to the usual level")]
        if trial["sum"] > 0 or minutes >= 2 * SHORTEST:
            state["trial"] = {}
        return [self._present(state, at, sample)]

    def _present(self, state: dict[str, Any], at: int, sample: Sample) -> Reading:
        """The value of the last calls, of at least `few`: that of a single one would say nothing."""
        recent = state.setdefault("recent", {})
        self._gather(state, recent, at, sample)
        reading = self._reading(at, "hold", recent)
        if recent["sample"][0][0] >= self.few or "now" not in state:
            state["now"], state["recent"] = [reading.value, reading.limit], {}
        value, limit = state["now"]
        return reading._replace(value=value, limit=limit)

    def _gather(self, state: dict[str, Any], run: dict[str, Any], at: int, sample: Sample) -> None:
        run.setdefault("since", at - MINUTE)
        run["sample"] = plus(run.get("sample"), sample)
        run["expected"] = run.get("expected", 0.0) + sample[0][0] * state["usual"]["value"]

    def _reading(self, at: int, verdict: Verdict, run: dict[str, Any]) -> Reading:
        sample = run["sample"]
        return Reading(at, verdict, self.gauge.value(sample) or 0.0, run["expected"] / sample[0][0])

    def _forget(self, state: dict[str, Any]) -> None:
        for name in ("up", "down", "told", "trial", "now", "recent"):
            state.pop(name, None)
