"""Detects that a series has no calls although past hours let calls be expected."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE

if TYPE_CHECKING:
    from llmvitals.record.vitals import Vitals

WEEK: Final = 168
"""Hours of a week."""
WEEKS: Final = 4
"""The past weeks that are compared."""


class Expectation(Protocol):
    """The fields of a rule that the detector reads; window: µs."""

    @property
    def window(self) -> int: ...
    @property
    def expect(self) -> str: ...
    @property
    def min_calls(self) -> int: ...


@dataclass(frozen=True, slots=True)
class AbsenceDetector(Detector):
    """Reads the time since the last call once it is as long as the window, and then hour by hour.

    State: "last" (pane with calls), "first" (hour of the first call), "hours": [hour, calls] of the last
    WEEKS (or as far back as the window's pace needs), ascending; "check" (the pane at whose end to check
    again); "told" (when it was reported, µs; 0: given up, and only calls change it).
    """

    rule: Expectation
    pane: int

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"absence {self.rule.expect} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        calls = vitals.total("calls") if vitals else 0
        return self._called(state, pane, calls) if calls else self._absent(state, (pane + 1) * self.pane)

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end to check again; FOREVER: none."""
        check: int = state.get("check", FOREVER)
        return check

    def _called(self, state: dict[str, Any], pane: int, calls: int) -> list[Reading]:
        gap = pane * self.pane - self._since(state) if state else 0
        hour = pane * self.pane // HOUR
        hours = state.setdefault("hours", [])
        if not hours or hours[-1][0] != hour:
            hours.append([hour, 0])
            while hours[0][0] < hour - self._back:
                del hours[0]
        hours[-1][1] += calls
        state.setdefault("first", hour)
        state.update(last=pane, check=pane + self.rule.window // self.pane)
        if not state.pop("told", 0):
            return []
        limit = self.rule.window / 1_000
        return [Reading((pane + 1) * self.pane, "clear", gap / 1_000, limit, note="calls are back")]

    def _absent(self, state: dict[str, Any], at: int) -> list[Reading]:
        if not state or at < (state["check"] + 1) * self.pane:
            return []
        gap, limit = (at - self._since(state)) / 1_000, self.rule.window / 1_000
        readings = []
        if (told := state.get("told")) and at < told + DAY:
            readings = [Reading(at, "hold", gap, limit)]
        elif told:
            readings = [Reading(at, "none", gap, limit, note="no calls for a day; no longer expected")]
            state["told"] = 0
        elif "told" not in state:
            expected, how = self._expected(state, at)
            if expected >= self.rule.min_calls:
                note = f"about {expected:,} calls were expected by {how}"
                readings = [Reading(at, "breach", gap, limit, note=note)]
                state["told"] = at
        self._next(state, at)
        return readings

    def _next(self, state: dict[str, Any], at: int) -> None:
        """Set when to check again: each minute once reported, when the window leaves an hour, or never."""
        if reported := state.get("told"):
            state["check"] = self._ending(min(reported + DAY, at + MINUTE))
            return
        left = ((at - self.rule.window) // HOUR + 1) * HOUR + self.rule.window
        over = (state["hours"][-1][0] + self._back + 1) * HOUR
        if self.rule.expect == "always" or left > over:
            state.clear()
        elif "told" in state:
            state["check"] = self._ending(over)
        else:
            state["check"] = self._ending(left)

    @property
    def _back(self) -> int:
        """The number of hours that are kept."""
        return WEEKS * WEEK + 1 if self.rule.expect == "seasonal" else self.rule.window // HOUR + 1

    def _since(self, state: dict[str, Any]) -> int:
        return (int(state["last"]) + 1) * self.pane

    def _ending(self, time: int) -> int:
        """The first pane that ends at this time or after it."""
        return -(-time // self.pane) - 1

    def _expected(self, state: dict[str, Any], at: int) -> tuple[int, str]:
        """The expected calls of the window that ends now, and the hours that they derive from."""
        hours, window = dict(state["hours"]), self.rule.window
        first, last = (at - window) // HOUR - 1, (at - 1) // HOUR + 1
        lags = {
            "the same hour of past weeks": [WEEK * weeks for weeks in range(1, WEEKS + 1)],
            "the same hour of the days before": [24 * days for days in range(1, 7)],
        }
        for how, back in lags.items() if self.rule.expect == "seasonal" else ():
            lowest = [
                min(hours.get(hour - lag, 0) for hour in range(first, last + 1))
                for lag in back
                if first - lag >= state["first"]
            ]
            if lowest:
                return median_low(lowest) * window // HOUR, how
        since, span = self._since(state), max(window, HOUR)
        recent = 0
        for hour, calls in state["hours"]:
            start, end = hour * HOUR, min((hour + 1) * HOUR, since)
            recent += calls * max(0, end - max(start, since - span)) // (end - start)
        return recent * window // span, "the rate before"
