"""The hourly spend of a budget in the last two weeks, from which the rest of a period is projected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from llmvitals.rules.kinds.budget.projection import DAILY
from llmvitals.window import FOREVER, HOUR

MOST: Final = 14 * DAILY
"""Hours that are kept: two weeks, so that the daily and the weekly season occur twice."""


@dataclass(frozen=True, slots=True)
class SpendHistory:
    """The spend of each hour; pane: µs. It begins with the first whole hour, and is dropped when all is 0.

    State: "hours", [the hour under way or to come, its spend, spends of the whole hours before it].
    """

    pane: int

    def take(self, state: dict[str, Any], pane: int, amount: int) -> bool:
        """Add what a closed pane spent. Returns whether a whole hour ends with it."""
        hour = pane * self.pane // HOUR
        if amount:
            memory = state.setdefault("hours", [hour + 1, 0, []])
            _roll(memory, hour)
            memory[1] += amount if memory[0] == hour else 0
        if (pane + 1) * self.pane % HOUR or hour < state.get("hours", (FOREVER,))[0]:
            return False
        _roll(state["hours"], hour + 1)
        return True

    def add_late(self, state: dict[str, Any], time: int, amount: int) -> None:
        """Add late spend to the hour of its own time (µs), if that is kept."""
        hour, _, past = memory = state.get("hours", (0, 0, ()))
        ago = hour - time // HOUR
        if ago == 0:
            memory[1] += amount
        elif 0 < ago <= len(past):
            past[-ago] += amount

    def drop_zeros(self, state: dict[str, Any]) -> None:
        """Drop the history if nothing was spent in it."""
        if "hours" in state and not (state["hours"][1] or any(state["hours"][2])):
            del state["hours"]

    def wakes(self, state: dict[str, Any], *, hourly: bool) -> int:
        """The last pane of the hour, or the one at whose end the history is dropped; hourly: each hour."""
        if "hours" not in state:
            return FOREVER
        hour, now, past = state["hours"]
        if not (hourly or now):
            zeros = next((number for number, entry in enumerate(reversed(past)) if entry), 0)
            hour += max(MOST - zeros, 1) - 1 if past else 0
        return int((hour + 1) * HOUR // self.pane - 1)


def whole_hours(state: dict[str, Any]) -> list[int]:
    """The spends of the whole hours, oldest first."""
    hours: list[int] = state["hours"][2] if "hours" in state else []
    return hours


def _roll(memory: list[Any], hour: int) -> None:
    """Advance to this hour."""
    steps = hour - memory[0]
    if steps > 0:
        memory[2].extend([memory[1], *[0] * min(steps - 1, MOST)])
        del memory[2][:-MOST]
        memory[:2] = [hour, 0]
