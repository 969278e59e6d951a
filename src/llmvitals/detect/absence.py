"""Calls that should be there and are not: a silence, judged by the same hours of past weeks."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from llmvitals.detect.scope import Scope, trailing_window
from llmvitals.errors import suggestion
from llmvitals.record.reading import Reading
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

WEEK: Final = 168
"""Hours of a week."""
WEEKS: Final = 4
"""So many past weeks are looked back to."""
EXPECTED: Final = ("seasonal", "always")


class Absence(Scope):
    """`absence:` of a rule. It fires when a series that had calls has had none for the whole window.

    window: how long the silence has to be, 24h at most. expect: `seasonal` (the default) fires only where
    calls were to be expected: the median of the same hour of up to four past weeks, or, until there is a
    week, of the same hour of the days before, or on the first day of the pace of the hour before the silence.
    `always` goes by that pace alone. min_calls: how many calls the silent window should have held at least.

    An hour in which calls begin or end is not expected to hold any: where its neighbours were empty, so may
    it be. A series that was never seen can't be missed: nothing knows of it. A series that stays away for a
    day longer is not waited for any more: its alert resolves, and says so.
    """

    kind: ClassVar[str] = "absence"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "No calls for {value}: {series} ({note})"

    window: int = 15 * MINUTE
    expect: Literal["seasonal", "always"] = "seasonal"
    min_calls: int = Field(10, ge=1, le=1_000_000)

    @field_validator("window", mode="before")
    @classmethod
    def _window(cls, value: Any, info: ValidationInfo) -> int:
        return trailing_window(value, info)

    @field_validator("by", mode="after")
    @classmethod
    def _lasting(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "session" in value:
            raise ValueError("every session ends, and none is missed: write another dimension, such as [app]")
        return value

    @field_validator("expect", mode="before")
    @classmethod
    def _expect(cls, value: Any) -> str:
        if value not in EXPECTED:
            raise ValueError(f"{value!r} is no way to expect calls{suggestion(str(value), EXPECTED)}")
        return str(value)

    @property
    def metric(self) -> str:
        """What is measured."""
        return "silence"

    @property
    def unit(self) -> Unit:
        """A silence is long in ms."""
        return "ms"

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    @property
    def shown(self) -> bool:
        """Silence is no point."""
        return False

    def detector(self, pane: int, key: tuple[str, ...]) -> AbsenceDetector:
        """The logic for one series; pane in µs."""
        del key
        return AbsenceDetector(self, pane)


@dataclass(frozen=True, slots=True)
class AbsenceDetector:
    """Looks at a silence when it is as long as the window, and each time it leaves an hour behind.

    State: "last" (pane with calls), "first" (hour of the first call), "hours": [hour, calls] of the last
    WEEKS (or as far back as the window's pace needs), ascending; "check" (the pane at whose end to look
    again); "told" (when it was told, µs; 0 when that is over and only calls can change it).
    """

    rule: Absence
    pane: int

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"absence {self.rule.expect} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        calls = vitals.total("calls") if vitals else 0
        return self._heard(state, pane, calls) if calls else self._silent(state, (pane + 1) * self.pane)

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """A silence is over when a pane with calls has closed."""
        del state, opened
        return []

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end to look again; FOREVER when nothing is waited for."""
        check: int = state.get("check", FOREVER)
        return check

    def _heard(self, state: dict[str, Any], pane: int, calls: int) -> list[Reading]:
        silence = pane * self.pane - self._since(state) if state else 0
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
        return [Reading((pane + 1) * self.pane, "clear", silence / 1_000, limit, note="calls are back")]

    def _silent(self, state: dict[str, Any], at: int) -> list[Reading]:
        if not state or at < (state["check"] + 1) * self.pane:
            return []
        silence, limit = (at - self._since(state)) / 1_000, self.rule.window / 1_000
        readings = []
        if state.get("told"):
            readings = [
                Reading(at, "none", silence, limit, note="no calls for a day: not waited for any longer")
            ]
            state["told"] = 0
        elif "told" not in state:
            expected, how = self._expected(state, at)
            if expected >= self.rule.min_calls:
                note = f"about {expected:,} were to be expected by {how}"
                readings = [Reading(at, "breach", silence, limit, note=note)]
                state["told"] = at
        self._next(state, at)
        return readings

    def _next(self, state: dict[str, Any], at: int) -> None:
        """When to look again: a day after it was told, when the silence leaves an hour, or never."""
        if told := state.get("told"):
            state["check"] = self._ending(told + DAY)
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
        """How many hours are remembered."""
        return WEEKS * WEEK + 1 if self.rule.expect == "seasonal" else self.rule.window // HOUR + 1

    def _since(self, state: dict[str, Any]) -> int:
        return (int(state["last"]) + 1) * self.pane

    def _ending(self, time: int) -> int:
        """The first pane that ends at this time or after it."""
        return -(-time // self.pane) - 1

    def _expected(self, state: dict[str, Any], at: int) -> tuple[int, str]:
        """How many calls the window that ends now should have held, and by what one knows."""
        hours, window = dict(state["hours"]), self.rule.window
        first, last = (at - window) // HOUR - 1, (at - 1) // HOUR + 1
        lags = {
            "the same hour of past weeks": [WEEK * weeks for weeks in range(1, WEEKS + 1)],
            "the same hour of the days before": [24 * days for days in range(1, 7)],
        }
        for how, back in lags.items() if self.rule.expect == "seasonal" else ():
            least = [
                min(hours.get(hour - lag, 0) for hour in range(first, last + 1))
                for lag in back
                if first - lag >= state["first"]
            ]
            if least:
                return median_low(least) * window // HOUR, how
        since, span = self._since(state), max(window, HOUR)
        recent = 0
        for hour, calls in state["hours"]:
            start, end = hour * HOUR, min((hour + 1) * HOUR, since)
            recent += calls * max(0, end - max(start, since - span)) // (end - start)
        return recent * window // span, "the pace before"
