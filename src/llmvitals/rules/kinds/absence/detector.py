"""Detects that a series has no calls although past hours let calls be expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, SATURDAY, weekday, window_start

if TYPE_CHECKING:
    from llmvitals.record.vitals import Vitals

WEEK: Final = 168
"""Hours of a week."""
WEEKS: Final = 4
"""The past weeks that are compared."""
RECENT: Final = 3
"""The hours whose rate counts before there are past days; as many as the window has, if that is longer."""
SHORT: Final = 4
"""A pause that is shorter than the window by more than this factor tells nothing."""
GROUPS: Final = 10
"""`min_calls` is made for so many groups of calls that come together, such as sessions."""
PRIOR: Final = 5
"""Pauses that the assumed size of a group counts for."""
ORDINARY: Final = 0.2
"""A pause with more expected calls than this share of `min_calls` tells how many calls come together."""


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
    WEEKS (or as far back as the window's pace needs), ascending; "pauses": the number of ordinary pauses that
    had more than a few expected calls, the sum of these beyond that few, and of their squares; "check" (the
    pane at whose end to check again); "told" (when it was reported, µs; 0: given up, and only calls change
    it).
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
        # A backtest joins the panes of a minute.
        begin = window_start(pane * self.pane, MINUTE if self.rule.window >= MINUTE else self.pane)
        if state and (begin - self._since(state)) * SHORT >= self.rule.window and "told" not in state:
            self._paused(state, begin)
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

    def _paused(self, state: dict[str, Any], at: int) -> None:
        """Learn from a pause that ends how many calls come together.

        If groups of calls come independently, the expected calls of a pause are distributed exponentially,
        and what they exceed a level by has the mean size of a group as its mean and deviation.
        """
        if self._since(state) < (state["first"] + 1) * HOUR:
            return
        beyond = self._expected(state, at)[0] - ORDINARY * self.rule.min_calls
        if beyond > 0:
            pauses, total, squares = state.get("pauses", (0, 0.0, 0.0))
            state["pauses"] = [pauses + 1, round(total + beyond, 3), round(squares + beyond**2, 3)]

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
            if expected >= self._least(state):
                note = f"about {int(expected):,} calls were expected by {how}"
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
        return WEEKS * WEEK + 1 if self.rule.expect == "seasonal" else self._recent + 1

    @property
    def _recent(self) -> int:
        """The number of hours whose rate counts while there are no past days."""
        return max(self.rule.window // HOUR, RECENT)

    def _since(self, state: dict[str, Any]) -> int:
        return (int(state["last"]) + 1) * self.pane

    def _ending(self, time: int) -> int:
        """The first pane that ends at this time or after it."""
        return -(-time // self.pane) - 1

    def _expected(self, state: dict[str, Any], at: int) -> tuple[float, str]:
        """The calls expected since the last one, a day at most, and what they derive from."""
        hours, since = dict(state["hours"]), max(self._since(state), at - DAY)
        if self.rule.expect == "always" or at // HOUR < state["first"] + 24:
            # Nobody knows how a day goes on, so the rate counts for the window only.
            return self._rate(state, hours) * min(at - since, self.rule.window) / HOUR, "the rate before"
        total, weeks = 0.0, at // HOUR - WEEK >= state["first"]
        for hour in range(since // HOUR, -(-at // HOUR)):
            part = min(at, (hour + 1) * HOUR) - max(since, hour * HOUR)
            total += part / HOUR * _usual(hours, hour, state["first"], weeks=weeks)
        return total, "the same hour of " + ("past weeks" if weeks else "the days before")

    def _rate(self, state: dict[str, Any], hours: dict[int, int]) -> float:
        """The calls of the emptiest of the last hours, because a day may be ending.

        0: the hours with calls are fewer than two windows, of the hours that are read one less at most.
        """
        end, last = self._since(state), self._recent
        begins = [end - HOUR * number for number in range(1, last + 1)]
        known = [begin for begin in begins if begin >= state["first"] * HOUR]
        if len(known) < min(last - 1, 2 * self.rule.window // HOUR):
            return 0.0
        return min(_between(hours, begin, begin + HOUR, end) for begin in known or begins[:1])

    def _least(self, state: dict[str, Any]) -> float:
        """The expected calls at which a silence is reported: min_calls, or more where calls come in groups.

        min_calls is GROUPS times the mean of an exponential distribution. Of pauses the mean counts, and
        their deviation where that is less: calls that come like clockwork have none.
        """
        size = self.rule.min_calls / GROUPS
        pauses: int
        total: float
        squares: float
        pauses, total, squares = state.get("pauses", (0, 0.0, 0.0))
        mean = (PRIOR * size + total) / (PRIOR + pauses)
        apart = max(squares - total**2 / max(pauses, 1), 0.0)
        spread = math.sqrt((PRIOR * size**2 + apart) / (PRIOR + pauses))
        return max(float(self.rule.min_calls), mean + (GROUPS - 1) * min(mean, spread))


def _usual(hours: dict[int, int], hour: int, first: int, *, weeks: bool) -> int:
    """The usual calls of an hour, 0 if it is not known; of each past hour and its neighbours the emptiest."""
    if weeks:
        past = [hour - WEEK * number for number in range(1, WEEKS + 1)]
    else:
        # Until a weekend is known, nobody knows whether calls come at weekends.
        past = [hour - 24 * days for days in range(1, 7)]
        weekend = weekday(hour) >= SATURDAY
        past = [then for then in past if (weekday(then) >= SATURDAY) == weekend]
    lowest = [min(hours.get(then + near, 0) for near in (-1, 0, 1)) for then in past if then >= first]
    return median_low(lowest) if lowest else 0


def _between(hours: dict[int, int], begin: int, end: int, last: int) -> float:
    """The calls between two times (µs), in proportion to the parts of hours; the last call was at `last`."""
    total = 0.0
    for hour in range(begin // HOUR, -(-end // HOUR)):
        low, high = hour * HOUR, min((hour + 1) * HOUR, last)
        total += hours.get(hour, 0) * max(0, min(end, high) - max(begin, low)) / (high - low)
    return total
