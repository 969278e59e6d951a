"""A budget of a calendar period in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.kinds.budget.thresholds import Balance
from llmvitals.window import FOREVER, NEVER, period

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.thresholds import Thresholds

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A budget of a calendar period.

    State: start of a period (as text) → [end, spent in closed panes, due, what was reported]. due: the pane
    at whose end the balance is shown. The first minute of a period is shown even without spend, so that the
    balance of the previous period is not mistaken for it. There are two periods while the last panes of the
    older one are open.
    """

    thresholds: Thresholds
    pane: int
    per: str
    zone: ZoneInfo

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"{self.per} {self.zone.key} {self.thresholds.totals} {self.pane}"

    def balance(self, state: dict[str, Any], pane: int) -> Balance:
        """The balance of the period that a pane is in."""
        begin, (end, spent, *_) = self._entry(state, pane)
        return Balance((pane + 1) * self.pane, spent, begin, end)

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        readings: list[Reading] = []
        at = (pane + 1) * self.pane
        if vitals is not None:
            begin, entry = self._entry(state, pane)
            state[begin] = entry
            entry[1] += self.thresholds.amount(vitals)
            entry[2] = self.thresholds.due(pane, self.pane)
        for begin, entry in list(state.items()):
            readings += self._advance(state, begin, entry, at)
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: dict[tuple[str, str], Reading] = {}
        spent: dict[str, int] = {}
        for pane, vitals in opened:
            begin, entry = self._entry(state, pane)
            spent[begin] = spent.get(begin, entry[1]) + self.thresholds.amount(vitals)
            balance = Balance((pane + 1) * self.pane, spent[begin], begin, entry[0])
            for reading in self.thresholds.update(entry[3], balance):
                readings[reading.begin, reading.verdict] = reading
                state[begin] = entry
        return list(readings.values())

    def wakes(self, state: dict[str, Any]) -> int:
        """The next pane at whose end a period ends or its balance is shown; NEVER: the next pane."""
        wakes = FOREVER
        for end, _, due, reported in state.values():
            if reported[1] != self.thresholds.limit:
                return NEVER
            wakes = min(wakes, end // self.pane - 1, due)
        return wakes

    def _advance(self, state: dict[str, Any], begin: str, entry: list[Any], at: int) -> list[Reading]:
        """Advance a period to the end of a pane, which may belong to a later period; at: µs."""
        end, spent, due, reported = entry
        readings: list[Reading] = []
        if at <= end:
            readings += self.thresholds.update(reported, Balance(at, spent, begin, end))
        pane = at // self.pane - 1
        if due <= pane:
            readings.append(self.thresholds.read_balance(reported, Balance(at, spent, begin)))
            entry[2] = FOREVER
        if end > at:
            if due <= pane and not (spent or reported[0]):
                del state[begin]
            return readings
        readings += self.thresholds.ended(reported, Balance(end, spent, begin, end))
        del state[begin]
        if spent and self.thresholds.shown:
            begun, following = self._entry(state, pane + 1)
            following[2] = self.thresholds.due(pane + 1, self.pane)
            state[begun] = following
        return readings

    def _entry(self, state: dict[str, Any], pane: int) -> tuple[str, list[Any]]:
        """The start of the period that a pane is in, and its entry."""
        time = pane * self.pane
        for begin, entry in state.items():
            if int(begin) <= time < entry[0]:
                return begin, entry
        start, end = period(time, self.per, self.zone)
        return str(start), [end, 0, FOREVER, self.thresholds.fresh]
