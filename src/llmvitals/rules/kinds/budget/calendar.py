"""A budget of a calendar period in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from llmvitals.rules.kinds.budget.thresholds import Balance
from llmvitals.window import DAY, FOREVER, NEVER, QUARTER_HOUR, period

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.kinds.budget.thresholds import Spend, Thresholds

    Panes = Sequence[tuple[int, Vitals]]

LEDGER: Final = DAY
"""How long a period that is over is kept for late spend, µs."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A budget of a calendar period.

    Late calls are spent in the period of their own time. For that, a period that is shown is kept for LEDGER
    after its end; its last point then changes, but nothing fires any more.

    State: start of a period (as text) → [end, spent in closed panes, due, what was reported, calls, unpriced
    calls, whether it is over]. due: the pane at whose end the balance is read. The first minute of a period
    is shown even without spend, so that the balance of the previous period is not mistaken for it. There are
    two periods while the last panes of the older one are open.
    """

    thresholds: Thresholds
    pane: int
    per: str
    zone: ZoneInfo

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"{self.per} {self.zone.key} {self.thresholds.totals} {self.pane}"

    def balance(self, state: dict[str, Any], pane: int, vitals: Vitals | None = None) -> Balance:
        """The balance of the period that a pane is in, with what the pane holds."""
        begin, entry = self._entry(state, pane * self.pane)
        balance = Balance((pane + 1) * self.pane, entry[1], begin, entry[0], *entry[4:6])
        if vitals is None:
            return balance
        balance = balance.plus(self.thresholds.spend(vitals))
        for quarter, late in vitals.late.items():
            if int(begin) <= quarter * QUARTER_HOUR < entry[0]:
                balance = balance.plus(self.thresholds.spend(late))
        return balance

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        readings: list[Reading] = []
        changed: set[str] = set()
        if vitals is not None:
            if not vitals.late or vitals.total("calls"):
                changed.add(self._spend(state, pane * self.pane, self.thresholds.spend(vitals)))
            for quarter, late in sorted(vitals.late.items()):
                if self._counts(quarter * QUARTER_HOUR, pane):
                    changed.add(self._spend(state, quarter * QUARTER_HOUR, self.thresholds.spend(late), pane))
        for begin in list(state):
            readings += self._advance(state, begin, pane, changed=begin in changed)
        return readings

    def peek(self, state: dict[str, Any], opened: Panes) -> list[Reading]:
        """Add the open panes, in order; of the thresholds that are passed, the highest is reported."""
        readings: dict[tuple[str, str], Reading] = {}
        balances: dict[str, Balance] = {}
        for pane, vitals in opened:
            spends = [(pane * self.pane, vitals)]
            spends += [(quarter * QUARTER_HOUR, late) for quarter, late in sorted(vitals.late.items())]
            for time, part in spends:
                begin, entry = self._entry(state, time)
                if entry[0] <= pane * self.pane or not part.total("calls"):
                    continue
                at = (pane + 1) * self.pane
                before = balances.get(begin) or Balance(at, entry[1], begin, entry[0], *entry[4:6])
                balance = balances[begin] = before.plus(self.thresholds.spend(part))._replace(at=at)
                for reading in self.thresholds.update(entry[3], balance):
                    readings[reading.begin, reading.verdict] = reading
                    state[begin] = entry
        return list(readings.values())

    def headroom(self, state: dict[str, Any]) -> Mapping[tuple[str, ...], int]:
        """What is left until the next threshold in the period that is nearest to one, or in a new one."""
        left = self.thresholds.headroom(self.thresholds.fresh, 0)
        for entry in state.values():
            for names, amount in self.thresholds.headroom(entry[3], entry[1]).items():
                left[names] = min(amount, left[names])
        return left

    def settled(self, state: dict[str, Any]) -> range:
        """The panes of the newest period, once all of its thresholds are reported."""
        if not state:
            return range(0)
        begin, (end, spent, _, reported, *_) = max(state.items(), key=lambda item: int(item[0]))
        if self.thresholds.headroom(reported, spent):
            return range(0)
        return range(int(begin) // self.pane, end // self.pane)

    def quiet(self, state: dict[str, Any]) -> bool:
        """Whether no alert fires in any period, and none is shown."""
        reports = [self.thresholds.fresh, *(entry[3] for entry in state.values())]
        return all(self.thresholds.quiet(reported) for reported in reports)

    def wakes(self, state: dict[str, Any]) -> int:
        """The next pane at whose end a period ends, is dropped or read; NEVER: the next pane."""
        wakes = FOREVER
        for entry in map(_whole, state.values()):
            end, _, due, reported, *_, over = entry
            if reported[1] != self.thresholds.limit and not over:
                return NEVER
            wakes = min(wakes, (end + LEDGER * over) // self.pane - 1, due)
        return wakes

    def _counts(self, time: int, pane: int) -> bool:
        """Whether late spend of a time counts: its period goes on, or is over but kept."""
        _, end = _period(time // QUARTER_HOUR, self.per, self.zone)
        begin = pane * self.pane
        return end > begin or (self.thresholds.shown and end + LEDGER > begin)

    def _spend(self, state: dict[str, Any], time: int, spend: Spend, pane: int | None = None) -> str:
        """Add a spend to the period of its time. pane: the one that it came in. Returns the period's name."""
        begin, entry = self._entry(state, time)
        state[begin] = entry
        for place, more in zip((1, 4, 5), spend, strict=True):
            entry[place] += more
        entry[6] = entry[6] or int(pane is not None and entry[0] <= pane * self.pane)
        return begin

    def _advance(self, state: dict[str, Any], begin: str, pane: int, *, changed: bool) -> list[Reading]:
        """Advance a period to the end of a pane, which may belong to a later period."""
        entry = _whole(state[begin])
        end, spent, _, reported, calls, unpriced, over = entry
        at = (pane + 1) * self.pane
        balance = Balance(min(at, end), spent, begin, end, calls, unpriced)
        readings: list[Reading] = []
        if at <= end and not over:
            readings += self.thresholds.update(reported, balance)
        if changed:
            entry[2] = self.thresholds.due(pane, self.pane, reported)
        read = entry[2] <= pane
        if read:
            readings.append(self.thresholds.read_balance(reported, balance))
            entry[2] = FOREVER
        if over:
            if at >= end + LEDGER:
                del state[begin]
        elif end <= at:
            readings += self.thresholds.ended(reported, balance)
            self._end(state, begin, pane)
        elif read and not (spent or reported[0]):
            del state[begin]
        return readings

    def _end(self, state: dict[str, Any], begin: str, pane: int) -> None:
        """End a period with a pane. If it is shown, it is kept, and the next period is shown too."""
        entry = state[begin]
        if not (entry[1] and self.thresholds.shown):
            del state[begin]
            return
        entry[3][0], entry[6] = 0, 1
        begun, following = self._entry(state, (pane + 1) * self.pane)
        following[2] = self.thresholds.due(pane + 1, self.pane, following[3])
        state[begun] = following

    def _entry(self, state: dict[str, Any], time: int) -> tuple[str, list[Any]]:
        """The start of the period that a time (µs) is in, and its entry."""
        for begin, entry in state.items():
            if int(begin) <= time < entry[0]:
                return begin, _whole(entry)
        start, end = _period(time // QUARTER_HOUR, self.per, self.zone)
        return str(start), _whole([end, 0, FOREVER, self.thresholds.fresh])


@lru_cache
def _period(quarter: int, per: str, zone: ZoneInfo) -> tuple[int, int]:
    """The period that contains a quarter of an hour: the offsets of time zones are multiples of one."""
    return period(quarter * QUARTER_HOUR, per, zone)


def _whole(entry: list[Any]) -> list[Any]:
    """An entry with all of its fields; former versions had the first four."""
    if len(entry) < 7:
        entry.extend([0] * (7 - len(entry)))
    return entry
