"""How a budget is spent: over a calendar period, a rolling window, or a session.

Sums are exact integers. Panes still open count as well, for spend only grows: so a breach is seen at once,
and later data can't undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.detect.ladder import Stand
from llmvitals.window import FOREVER, NEVER, period

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from llmvitals.detect.ladder import Ladder, Told
    from llmvitals.detect.trailing import Trailing
    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Calendar:
    """State: period start (as text) → [end, spent in closed panes, due, told (see Ladder)].

    due: the pane at whose end it is told how the budget stands. The first minute of a period tells it even if
    nothing is spent, so that nobody takes the old period's for it.

    Two periods live at once while the last panes of the older one are open.
    """

    ladder: Ladder
    pane: int
    per: str
    zone: ZoneInfo

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.per} {self.zone.key} {self.ladder.totals} {self.pane}"

    def stand(self, state: dict[str, Any], pane: int) -> Stand:
        """How the period stands that a pane is in."""
        begin, (end, spent, *_) = self._entry(state, pane)
        return Stand((pane + 1) * self.pane, spent, begin, end)

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        readings: list[Reading] = []
        at = (pane + 1) * self.pane
        if vitals is not None:
            begin, entry = self._entry(state, pane)
            state[begin] = entry
            entry[1] += self.ladder.amount(vitals)
            entry[2] = self.ladder.due(pane, self.pane)
        for begin, entry in list(state.items()):
            readings += self._pass(state, begin, entry, at)
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: dict[tuple[str, str], Reading] = {}
        spent: dict[str, int] = {}
        for pane, vitals in opened:
            begin, entry = self._entry(state, pane)
            spent[begin] = spent.get(begin, entry[1]) + self.ladder.amount(vitals)
            stand = Stand((pane + 1) * self.pane, spent[begin], begin, entry[0])
            for reading in self.ladder.climb(entry[3], stand):
                readings[reading.begin, reading.verdict] = reading
                state[begin] = entry
        return list(readings.values())

    def wakes(self, state: dict[str, Any]) -> int:
        """The next pane at whose end a period ends, or is told how it stands; NEVER: the next there is."""
        wakes = FOREVER
        for end, _, due, told in state.values():
            if told[1] != self.ladder.limit:
                return NEVER
            wakes = min(wakes, end // self.pane - 1, due)
        return wakes

    def _pass(self, state: dict[str, Any], begin: str, entry: list[Any], at: int) -> list[Reading]:
        """What time brings to a period of which the pane that ends at `at` may be one."""
        end, spent, due, told = entry
        readings: list[Reading] = []
        if at <= end:
            readings += self.ladder.climb(told, Stand(at, spent, begin, end))
        pane = at // self.pane - 1
        if due <= pane:
            readings.append(self.ladder.stands(told, Stand(at, spent, begin)))
            entry[2] = FOREVER
        if end > at:
            if due <= pane and not (spent or told[0]):
                del state[begin]
            return readings
        readings += self.ladder.ended(told, Stand(end, spent, begin, end))
        del state[begin]
        if spent and self.ladder.shown:
            begun, following = self._entry(state, pane + 1)
            following[2] = self.ladder.due(pane + 1, self.pane)
            state[begun] = following
        return readings

    def _entry(self, state: dict[str, Any], pane: int) -> tuple[str, list[Any]]:
        """The period that a pane is in, and what is known of it."""
        time = pane * self.pane
        for begin, entry in state.items():
            if int(begin) <= time < entry[0]:
                return begin, entry
        start, end = period(time, self.per, self.zone)
        return str(start), [end, 0, FOREVER, self.ladder.fresh]


@dataclass(frozen=True, slots=True)
class Rolling:
    """State: that of the trailing window of closed panes, "told" (see Ladder), "begin", "at" while firing.

    "due": the pane at whose end it is told how the budget stands.

    An episode begins when a step is first passed and ends when the spend is clearly below the lowest one.
    It is named by the slot of the window's length that it began in, and its number since the window was
    empty: told from open panes or from closed ones, before or after a restart, its name is the same.
    """

    ladder: Ladder
    pane: int
    trailing: Trailing

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.trailing.panes} {self.trailing.buckets} {self.ladder.totals} {self.pane}"

    def stand(self, state: dict[str, Any], pane: int) -> Stand:
        """How the window stands that ends with a pane."""
        return Stand((pane + 1) * self.pane, self.trailing.future(state, pane), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if self.ladder.shown and (vitals is not None or self.trailing.changes(state) <= pane):
            state["due"] = self.ladder.due(pane, self.pane)
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, ([self.ladder.amount(vitals)], 0, {}))
        stand = self.stand(state, pane)
        told: Told = state.setdefault("told", self.ladder.fresh)
        same = told[1] == self.ladder.limit
        if told[0] and same and self.ladder.released(stand.spent) and stand.at > state["at"]:
            readings = self.ladder.ended(told, stand)
            del state["begin"], state["at"]
            told[:] = [0, self.ladder.limit, told[2] + 1]
        else:
            readings = self._climb(state, stand)
        if state.get("due", FOREVER) <= pane:
            del state["due"]
            readings.append(self.ladder.stands(told, stand))
        if "ring" not in state and not told[0]:
            del state["told"]
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        amounts = [(pane, self.ladder.amount(vitals)) for pane, vitals in opened]
        more = first = 0
        for pane, amount in amounts:
            more += amount
            while amounts[first][0] < self.trailing.begins(pane):
                more -= amounts[first][1]
                first += 1
            at, spent, begin, ends = self.stand(state, pane)
            readings = self._climb(state, Stand(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the window lets go of something that matters; NEVER: the next there is."""
        told: Told = state.get("told", self.ladder.fresh)
        if told[1] != self.ladder.limit:
            return NEVER
        matters = self.ladder.shown or told[0]
        lets_go = self.trailing.changes(state) if matters else self.trailing.empties(state)
        due: int = state.get("due", FOREVER)
        return min(lets_go, due)

    def _climb(self, state: dict[str, Any], stand: Stand) -> list[Reading]:
        told: Told = state.get("told", self.ladder.fresh)
        length = self.trailing.panes * self.trailing.buckets * self.pane
        begin = stand.begin or str(stand.at // length)
        readings = self.ladder.climb(told, stand._replace(begin=begin))
        if readings and told[0]:
            state.update(told=told, begin=begin, at=max(stand.at, state.get("at", 0)))
        elif readings:
            del state["begin"], state["at"]
        return readings


@dataclass(frozen=True, slots=True)
class Idle:
    """A budget that begins with the first call, and ends when none has come for `idle` µs.

    State: "spent" and "last" (pane) of closed panes; "told" (see Ladder), "begin". Named like a rolling one.
    """

    ladder: Ladder
    pane: int
    idle: int

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"idle {self.ladder.totals} {self.pane}"

    def stand(self, state: dict[str, Any], pane: int) -> Stand:
        """How the session stands at a pane's end."""
        return Stand((pane + 1) * self.pane, state.get("spent", 0), state.get("begin", ""))

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if vitals is not None:
            state["spent"] = state.get("spent", 0) + self.ladder.amount(vitals)
            state["last"] = pane
            state.setdefault("told", self.ladder.fresh)
        stand = self.stand(state, pane)
        if pane >= self.wakes(state) > NEVER:
            readings = self.ladder.ended(state["told"], stand)
            state.clear()
            return readings
        return self._climb(state, stand)

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """What the panes still open add, in order of panes; of the steps passed the highest is told."""
        readings: list[Reading] = []
        more, last = 0, state.get("last")
        for pane, vitals in opened:
            if last is not None and pane - last > self.idle // self.pane:
                break  # Another session of the same name: what was before it has first to be closed.
            last = pane
            more += self.ladder.amount(vitals)
            at, spent, begin, ends = self.stand(state, pane)
            readings = self._climb(state, Stand(at, spent + more, begin, ends)) or readings
        return readings

    def wakes(self, state: dict[str, Any]) -> int:
        """The pane at whose end the session is over if nothing more comes; NEVER: the next there is."""
        if state.get("told", self.ladder.fresh)[1] != self.ladder.limit:
            return NEVER
        return int(state["last"]) + self.idle // self.pane if "last" in state else FOREVER

    def _climb(self, state: dict[str, Any], stand: Stand) -> list[Reading]:
        told: Told = state.get("told", self.ladder.fresh)
        begin = stand.begin or str(stand.at // self.idle)
        readings = self.ladder.climb(told, stand._replace(begin=begin))
        if readings:
            state.update(told=told, begin=begin)
        return readings
