"""The highest spend of a window on each of the last days: what is usual at the busiest time."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import Any, Final

from llmvitals.window import DAY, FOREVER, HOUR

DAYS: Final = 14
"""Days that are compared with."""
AGAIN: Final = 2
"""So many burns within DAYS are usual, such as those of a nightly batch."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peaks of windows. Days have 24 hours and begin with the hour of the first spend.

    State: "peaks", [the first hour, {window's key: [[day, its highest sum], …]}]; "after": a time (µs). What
    windows hold of the time before it belongs to a burn, which is not usual. "burns": when the last burns
    began, µs; of AGAIN within DAYS the windows are usual all the same.
    """

    def begin(self, state: dict[str, Any], time: int) -> None:
        """Begin the first day with the hour of a time (µs), if there is none yet."""
        state.setdefault("peaks", [time // HOUR, {}])

    def add(self, state: dict[str, Any], key: str, total: int, window: tuple[int, int]) -> None:
        """Note the sum of a window. window: its begin, and the begin of its newest bucket, µs."""
        begin, newest = window
        first, by_key = state["peaks"]
        if begin < state.get("after", begin) and len(state.get("burns", ())) < AGAIN:
            return
        day = max((newest - first * HOUR) // DAY, 0)
        peaks: list[list[int]] = by_key.setdefault(key, [])
        if not peaks or peaks[-1][0] < day:
            peaks.append([day, total])
            oldest = (begin - first * HOUR) // DAY - DAYS
            while peaks[0][0] < oldest:
                del peaks[0]
        else:
            peaks[-1][1] = max(peaks[-1][1], total)

    def usual(self, state: dict[str, Any], key: str, begin: int) -> tuple[int, int]:
        """What is usual before a window's begin (µs): the whole days, at most DAYS, and their peak.

        The peak is the highest sum and a doubt: its part 1/√days, and as much as it is above the median of
        the days, because peaks that differ much will differ more.
        """
        first, by_key = state.get("peaks", (FOREVER, {}))
        days = max((begin - first * HOUR) // DAY, 0)
        recent = [total for day, total in by_key.get(key, ()) if days - DAYS <= day < days]
        days = min(days, DAYS)
        if not recent:
            return days, 0
        highest = max(recent)
        return days, int(highest * (2 + days**-0.5) - median_low(recent))

    def burn(self, state: dict[str, Any], at: int, begins: dict[str, int]) -> None:
        """Note that a burn begins (µs), and forget the days that the present windows reach into.

        begins: key → the window's begin, µs.
        """
        state["burns"] = [burn for burn in state.get("burns", ()) if burn > at - DAYS * DAY] + [at]
        if len(state["burns"]) < AGAIN:
            first, by_key = state.get("peaks", (0, {}))
            for key, begin in begins.items():
                day = (begin - first * HOUR) // DAY
                by_key[key] = [entry for entry in by_key.get(key, ()) if entry[0] < day]

    def ends(self, state: dict[str, Any]) -> int:
        """The time (µs) at which nothing is usual any more: DAYS after the last day with a spend."""
        first, by_key = state["peaks"]
        day = max((peaks[-1][0] for peaks in by_key.values() if peaks), default=0)
        return int(first * HOUR + (day + 1 + DAYS) * DAY)
