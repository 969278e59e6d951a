"""How a budget is spent: a ladder of thresholds over a calendar period or a rolling window.

Sums are exact integers. Panes still open count as well, for spend only grows: so a breach is seen at once,
and later data can't undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.detect.amount import BASIS
from llmvitals.record.reading import Reading
from llmvitals.window import FOREVER, MINUTE, period, window_start

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

    limit: an integer; scale: how many of it make one of the metric's unit. shown: whether to say also how it
    stands ("hold") at the end of each minute in which that changed.
    """

    totals: tuple[str, ...]
    limit: int
    scale: int
    steps: tuple[int, ...]
    shown: bool = False

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

    def stands(self, at: int, spent: int, begin: str) -> Reading:
        """The reading for the end of a minute."""
        return Reading(at, "hold", spent / self.scale, self.limit / self.scale, "", begin)

    def due(self, pane: int, length: int) -> int:
        """The pane at whose end a change in `pane` is told: its minute's last. length: of a pane, µs."""
        return (window_start(pane * length, MINUTE) + MINUTE) // length - 1 if self.shown else FOREVER


@dataclass(frozen=True, slots=True)
class Calendar:
    """State: period start (as text) → [end, spent in closed panes, highest step told, limit then, due].

    due: the pane at whose end it is told how the budget stands. The first minute of a period tells it even if
    nothing is spent, so that nobody takes the old period's for it.

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
        at = (pane + 1) * self.pane
        if vitals is not None:
            begin, entry = self._entry(state, pane)
            state[begin] = entry
            entry[1] += self.ladder.amount(vitals)
            entry[4] = self.ladder.due(pane, self.pane)
            readings += self._told(begin, entry, at, entry[1])
        for begin, (end, spent, fired, limit, due) in list(state.items()):
            if due <= pane:
                readings.append(self.ladder.stands(at, spent, f"{begin}-{limit}"))
                state[begin][4] = FOREVER
            if fired and end <= at:
                readings.append(self.ladder.clear(end, spent, f"{begin}-{limit}"))
            if end <= at or (due <= pane and not (spent or fired)):
                del state[begin]
            if spent and end <= at and self.ladder.shown:
                begun, entry = self._entry(state, pane + 1)
                state[begun] = [*entry[:4], self.ladder.due(pane + 1, self.pane)]
        return readings

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: dict[tuple[str, str], Reading] = {}
        spent: dict[str, int] = {}
        for pane, vitals in opened:
            begin, entry = self._entry(state, pane)
            spent[begin] = spent.get(begin, entry[1]) + self.ladder.amount(vitals)
            for reading in self._told(begin, entry, (pane + 1) * self.pane, spent[begin]):
                readings[reading.begin, reading.verdict] = reading
                state[begin] = entry
        return list(readings.values())

    def wakes(self, state: dict[str, Any]) -> int:
        """The next pane at whose end a period ends, or is told how it stands; FOREVER when there is none."""
        return min((min(end // self.pane - 1, due) for end, *_, due in state.values()), default=FOREVER)

    def _told(self, begin: str, entry: list[int], at: int, spent: int) -> list[Reading]:
        readings = []
        if entry[3] != self.ladder.limit:
            if entry[2]:
                readings.append(self.ladder.clear(at, spent, f"{begin}-{entry[3]}"))
            entry[2:4] = [0, self.ladder.limit]
        step = self.ladder.passed(spent, entry[2])
        if step:
            entry[2] = step
            readings.append(self.ladder.breach(at, spent, step, f"{begin}-{entry[3]}"))
        return readings

    def _entry(self, state: dict[str, Any], pane: int) -> tuple[str, list[int]]:
        """The period that a pane is in, and what is known of it."""
        time = pane * self.pane
        for begin, entry in state.items():
            if int(begin) <= time < entry[0]:
                return begin, entry
        start, end = period(time, self.per, self.zone)
        return str(start), [end, 0, 0, self.ladder.limit, FOREVER]


@dataclass(frozen=True, slots=True)
class Rolling:
    """State: that of the trailing window of closed panes, "fired" (highest step told), "begin", "at".

    "due": the pane at whose end it is told how the budget stands.

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
        if self.ladder.shown and (vitals is not None or self.trailing.changes(state) <= pane):
            state["due"] = self.ladder.due(pane, self.pane)
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([self.ladder.amount(vitals)], 0, {}))
        spent = self.trailing.future(state, pane)
        at = (pane + 1) * self.pane
        if "fired" in state and self.ladder.released(spent) and at > state["at"]:
            readings = [self.ladder.clear(at, spent, state["begin"])]
            del state["fired"], state["begin"], state["at"]
        else:
            readings = self._told(state, at, spent)
        if state.get("due", FOREVER) <= pane:
            del state["due"]
            readings.append(self.ladder.stands(at, spent, state.get("begin", "")))
        return readings

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
        matters = self.ladder.shown or "fired" in state
        lets_go = self.trailing.changes(state) if matters else self.trailing.empties(state)
        due: int = state.get("due", FOREVER)
        return min(lets_go, due)

    def _told(self, state: dict[str, Any], at: int, spent: int) -> list[Reading]:
        step = self.ladder.passed(spent, state.get("fired", 0))
        if not step:
            return []
        length = self.trailing.panes * self.trailing.buckets * self.pane
        begin = state.get("begin") or str(at // length)
        state.update(fired=step, begin=begin, at=max(at, state.get("at", 0)))
        return [self.ladder.breach(at, spent, step, begin)]
