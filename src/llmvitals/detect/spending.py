"""How a budget is spent: a ladder of thresholds over a calendar period or a rolling window.

Sums are exact integers. Panes still open count as well, for spend only grows: so a breach is seen at once,
and later data can't undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.detect.amount import BASIS
from llmvitals.record.reading import Reading
from llmvitals.window import FOREVER, period

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from llmvitals.detect.trailing import Trailing
    from llmvitals.record.vitals import Vitals

RELEASE: Final = 95
"""A rolling budget is released when the spend falls below this per cent of its lowest threshold."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is spent (totals of vitals), of how much, and at which steps (1/10,000) to speak.

    limit: an integer; scale: how many of it make one of the metric's unit.
    """

    totals: tuple[str, ...]
    limit: int
    scale: int
    steps: tuple[int, ...]

    def amount(self, vitals: Vitals) -> int:
        """What a pane spends."""
        return sum(vitals.total(name) for name in self.totals)

    def passed(self, spent: int, fired: int) -> int:
        """The highest step above `fired` that is reached; 0 when none is."""
        return max(
            (step for step in self.steps if step > fired and spent * BASIS >= self.limit * step), default=0
        )

    def released(self, spent: int) -> bool:
        """Whether the spend is clearly below the lowest step."""
        return spent * BASIS * 100 < self.limit * self.steps[0] * RELEASE

    def breach(self, at: int, spent: int, step: int, begin: str) -> Reading:
        """The reading for a step that was just reached."""
        level = f"{step / 100:g}%"
        return Reading(at, "breach", spent / self.scale, self.limit / self.scale, level, begin)

    def clear(self, at: int, spent: int, begin: str) -> Reading:
        """The reading for the end of an episode."""
        return Reading(at, "clear", spent / self.scale, self.limit / self.scale, "", begin)


@dataclass(frozen=True, slots=True)
class Calendar:
    """State: period start (as text) → [end, spent in closed panes, highest step told, limit then].

    Two periods live at once while the last panes of the older one are open. A changed limit begins a new
    episode, since the steps it had told were others.
    """

    ladder: Ladder
    pane: int
    per: str
    zone: ZoneInfo

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.ladder.totals} {self.per} {self.zone.key} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        readings: list[Reading] = []
        if vitals is not None:
            start, end = self._period(state, pane)
            entry = state.setdefault(str(start), [end, 0, 0, self.ladder.limit])
            entry[1] += self.ladder.amount(vitals)
            readings += self._told(str(start), entry, (pane + 1) * self.pane, entry[1])
        for begin, (end, spent, fired, limit) in list(state.items()):
            if end <= (pane + 1) * self.pane:
                del state[begin]
                if fired:
                    readings.append(self.ladder.clear(end, spent, f"{begin}-{limit}"))
        return readings

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: dict[tuple[str, str], Reading] = {}
        spent: dict[str, int] = {}
        for pane, vitals in opened:
            start, end = self._period(state, pane)
            begin = str(start)
            entry = state.get(begin) or [end, 0, 0, self.ladder.limit]
            spent[begin] = spent.get(begin, entry[1]) + self.ladder.amount(vitals)
            for reading in self._told(begin, entry, (pane + 1) * self.pane, spent[begin]):
                readings[reading.begin, reading.verdict] = reading
                state[begin] = entry
        return list(readings.values())

    def wakes(self, state: dict[str, Any]) -> int:
        """The last pane of the oldest period; FOREVER when there is none."""
        return min((entry[0] for entry in state.values()), default=FOREVER) // self.pane - 1

    def _told(self, begin: str, entry: list[int], at: int, spent: int) -> list[Reading]:
        readings = []
        if entry[3] != self.ladder.limit:
            if entry[2]:
                readings.append(self.ladder.clear(at, spent, f"{begin}-{entry[3]}"))
            entry[2:] = [0, self.ladder.limit]
        step = self.ladder.passed(spent, entry[2])
        if step:
            entry[2] = step
            readings.append(self.ladder.breach(at, spent, step, f"{begin}-{entry[3]}"))
        return readings

    def _period(self, state: dict[str, Any], pane: int) -> tuple[int, int]:
        time = pane * self.pane
        for begin, entry in state.items():
            if int(begin) <= time < entry[0]:
                return int(begin), entry[0]
        return period(time, self.per, self.zone)


@dataclass(frozen=True, slots=True)
class Rolling:
    """State: that of the trailing window of closed panes, "fired" (highest step told), "begin" and "at".

    An episode begins when a step is first passed and ends when the spend is clearly below the lowest one.
    It is named by the slot of the window's length that it began in: told from open panes or from closed
    ones, before or after a restart, its name is the same.
    """

    ladder: Ladder
    pane: int
    trailing: Trailing

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.ladder.totals} {self.trailing.panes} {self.trailing.buckets} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([self.ladder.amount(vitals)], 0, {}))
        spent = self.trailing.future(state, pane)
        at = (pane + 1) * self.pane
        if "fired" in state and self.ladder.released(spent) and at > state["at"]:
            begin = state["begin"]
            del state["fired"], state["begin"], state["at"]
            return [self.ladder.clear(at, spent, begin)]
        return self._told(state, at, spent)

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        more = 0
        for pane, vitals in opened:
            more += self.ladder.amount(vitals)
            spent = self.trailing.future(state, pane) + more
            readings = self._told(state, (pane + 1) * self.pane, spent) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the window lets go of something that matters; FOREVER: nothing is there."""
        return self.trailing.changes(state) if "fired" in state else self.trailing.empties(state)

    def _told(self, state: dict[str, Any], at: int, spent: int) -> list[Reading]:
        step = self.ladder.passed(spent, state.get("fired", 0))
        if not step:
            return []
        length = self.trailing.panes * self.trailing.buckets * self.pane
        begin = state.get("begin") or str(at // length)
        state.update(fired=step, begin=begin, at=max(at, state.get("at", 0)))
        return [self.ladder.breach(at, spent, step, begin)]
