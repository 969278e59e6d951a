"""Evaluates rules of one view over blocks of calls, but only for the series in which they may fire."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.backtest.columns import SeriesColumns, empty, first_panes, screen_of
from llmvitals.backtest.series_evaluator import SeriesEvaluator
from llmvitals.combine.pane import ON_TIME
from llmvitals.record.series import series_key
from llmvitals.record.vitals import Vitals, merged
from llmvitals.rules.condition.kind import RequiredData
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.backtest.reader import Block, Coder
    from llmvitals.merge.plan import MergePlan
    from llmvitals.record.view import View
    from llmvitals.rules.rule import Rule

    Ints = NDArray[np.int64]
    Entries = Iterable[tuple[int, int, Vitals]]
    Panes = list[tuple[int, Vitals]]

LateCalls = dict[tuple[int, int], dict[int, Vitals]]
"""(row of a series, pane) → the calls that came late in it, by the quarter of an hour of their own time."""

_WINDOW: Final = frozenset(("ring", "sum"))
"""The keys of the state of condition/trailing."""
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def on_time(block: Block, rows: Ints) -> Ints:
    """The row of each call that was on time; -1 for others."""
    return np.where(block.quarters == ON_TIME, rows, -1)


def late_calls(block: Block, rows: Ints, needs: RequiredData, tools: Sequence[str]) -> LateCalls:
    """Add up the late calls of a block; rows: the series of each call, below 0 for none."""
    late = np.flatnonzero((block.quarters != ON_TIME) & (rows >= 0))
    found: LateCalls = defaultdict(dict)
    if len(late):
        places, inverse = np.unique(np.stack((rows[late], block.quarters[late])), axis=1, return_inverse=True)
        row_of_place = np.full(len(rows), -1)
        row_of_place[late] = inverse.ravel()
        for place, pane, vitals in SeriesColumns.of(block, row_of_place, needs).vitals(tools):
            row, quarter = places[:, place].tolist()
            found[row, pane][quarter] = vitals
    return found


def beside(entries: Entries, late: LateCalls, grain: int = 1) -> Entries:
    """Entries (row, pane, vitals) with the late calls in them, in the same order.

    grain: each `grain` aligned panes are one entry, in the last of them (see SeriesColumns.coarse).
    """
    if not late:
        return entries
    found = {(row, pane // grain): (pane, vitals) for row, pane, vitals in entries}
    for (row, pane), by_quarter in late.items():
        last, vitals = found.get((row, pane // grain), (pane, Vitals()))
        together = replace(vitals, late=_joined(vitals.late, by_quarter))
        found[row, pane // grain] = max(last, pane), together
    return ((row, pane, vitals) for (row, _), (pane, vitals) in sorted(found.items(), key=itemgetter(0)))


def _joined(one: Mapping[int, Vitals], other: Mapping[int, Vitals]) -> dict[int, Vitals]:
    quarters = sorted({*one, *other})
    return {
        quarter: merged([part[quarter] for part in (one, other) if quarter in part]) for quarter in quarters
    }


class ViewEvaluator(SeriesEvaluator[int]):
    """rules: of one view, all of them `in_columns`; all of them can be screened, or none is.

    A series is asleep as long as the screens exclude an alert: only its entries within the longest window are
    kept, and they are fed to its detectors when it wakes up. It falls asleep when it has no alert and a whole
    block cannot change that.

    Law: the alerts are the same as if every series were awake all the time.
    """

    def __init__(
        self, view: View, rules: Sequence[Rule], plan: MergePlan, coder: Coder, *, screening: bool = False
    ) -> None:
        super().__init__(view, rules, plan, screening=screening)
        self._coder, pane = coder, self._pane
        self._series = _Series(view, coder)
        self._needs = RequiredData.joined(needs for rule in rules if (needs := rule.condition.required_data))
        self._grain = min(rule.condition.grain(pane) for rule in rules)
        self._by_minute = all(rule.condition.by_minute for rule in rules)
        self._screens = [screen for rule in rules if (screen := screen_of(rule))]
        self._back = max((screen.window // pane for screen in self._screens), default=0)
        self._reads_late = any(rule.condition.late == "apart" for rule in rules)
        self._screened = len(self._screens) == len(rules)
        self._since = 0
        self._recent = empty(self._needs)

    def name(self, key: int) -> tuple[str, ...]:
        """The values of `by`; key: the row."""
        return self._series.name(key)

    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`; block: their calls, except those of earlier blocks."""
        while self._shares and len(block.panes):
            first = int(block.panes.min())
            if self._begins(first):
                self._begin(first)
            end = (self._period + 1) * self._length
            later = block.panes >= end
            if not later.any():
                break
            self._take(block.only(~later), end)
            block = block.only(later)
        self._take(block, low)

    def _take(self, block: Block, low: int) -> None:
        rows = self._series.rows(block)
        if self._shares and len(rows):
            names = [series_key(self.view, self.name(row)) for row in np.unique(rows[rows >= 0]).tolist()]
            self._note(names, self._period * self._length)
        if done := [row for row in self._found if self._is_done(row)]:
            rows = np.where(np.isin(rows, done), -1, rows)
        columns = SeriesColumns.of(block, on_time(block, rows), self._needs)
        late = late_calls(block, rows, self._needs, self._tools) if self._reads_late else {}
        if self._screened:
            columns = self._screen(columns, low)
        feed = self._feed if self._grain == 1 else self._feed_coarsely
        fed = feed(columns, late, low)
        for row in [row for row in self._states if row not in fed]:
            if self._engine.due(self._states[row]) <= low:
                self._advance(row, [], low)

    @property
    def _tools(self) -> list[str]:
        """The names of tools by code."""
        return self._coder.tools.names

    def _screen(self, columns: SeriesColumns, low: int) -> SeriesColumns:
        """The entries of the series that are awake, after others have woken up or fallen asleep."""
        seen = self._recent.beside(columns)
        self._recent = seen.only(seen.panes >= low - self._back)
        first = np.full(self._series.count, FOREVER)
        if len(seen):
            panes = [first_panes(screen, seen, self._pane, self._since) for screen in self._screens]
            np.minimum.at(first, seen.rows, np.minimum.reduce(panes))
        self._since = low
        self._states = {
            row: state for row, state in self._states.items() if first[row] < FOREVER or _has_alert(state)
        }
        awake = np.zeros(len(first), np.bool_)
        awake[list(self._states)] = True
        self._wake(seen.only((first[seen.rows] < FOREVER) & ~awake[seen.rows]), first, low)
        return columns.only(awake[columns.rows])

    def _wake(self, seen: SeriesColumns, first: Ints, low: int) -> None:
        """Evaluate each series from the first pane on at which it may fire."""
        for row, entries in groupby(seen.vitals(self._tools), key=itemgetter(0)):
            panes = [(pane, vitals) for _, pane, vitals in entries]
            before = [entry for entry in panes if entry[0] < first[row]]
            if before:
                state = self._states.setdefault(row, {})
                self._engine.warm_up(self.view, self.name(row), state, before)
            self._advance(row, panes[len(before) :], low)

    def _feed(self, columns: SeriesColumns, late: LateCalls, low: int) -> set[int]:
        fed = set()
        for row, entries in groupby(beside(columns.vitals(self._tools), late), key=itemgetter(0)):
            self._advance(row, [(pane, vitals) for _, pane, vitals in entries], low)
            fed.add(row)
        return fed

    def _feed_coarsely(self, columns: SeriesColumns, late: LateCalls, low: int) -> set[int]:
        """Evaluate several panes as one, and only series with alerts pane by pane."""
        alerting, fed, before_alerts = [], set(), len(self.alerts)
        coarse = columns.coarse(self._grain, low if self._by_minute else 0).vitals(self._tools)
        for row, entries in groupby(beside(coarse, late, self._grain), key=itemgetter(0)):
            before = b"" if self._screening else _encode(self._states.get(row, {}))
            if self._advance(row, [(pane, vitals) for _, pane, vitals in entries], low) and before:
                self._states[row] = _decode(before)
                alerting.append(row)
            fed.add(row)
        # Evaluate the series with alerts again, pane by pane, for the exact times.
        del self.alerts[before_alerts:]
        mine = {place: calls for place, calls in late.items() if place[0] in alerting}
        self._feed(columns.only(np.isin(columns.rows, alerting)), mine, low)
        return fed

    def _advance(self, row: int, closed: Panes, low: int) -> bool:
        """Advance a series; returns whether an alert changed."""
        return self._evaluate(row, closed, low=low)


def _has_alert(state: dict[str, Any]) -> bool:
    """Whether an alert fires or is pending, or a detector remembers more than its window."""
    return any(entry["lives"] or entry["seen"].keys() - _WINDOW for entry in state["rules"].values())


@dataclass(slots=True)
class _Series:
    """The rows of a view's series, in the order in which they first occur."""

    view: View
    coder: Coder
    _rows: dict[tuple[int, ...], int] = field(default_factory=dict)
    _names: list[tuple[int, ...]] = field(default_factory=list)
    _accepted: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """At least the number of rows so far."""
        if len(self.view.by) == 1:
            return len(self._codes(self.view.by[0]))
        return max(len(self._names), 1)

    def name(self, row: int) -> tuple[str, ...]:
        """The values of `by`."""
        codes = (row,) if len(self.view.by) == 1 else self._names[row] if self.view.by else ()
        return tuple(self._codes(name)[code] for name, code in zip(self.view.by, codes, strict=True))

    def rows(self, block: Block) -> Ints:
        """The row of each call; -1 for calls that the view filters out."""
        codes = [block.values[self.coder.dimensions.index(name)] for name in self.view.by]
        if len(codes) == 1:
            rows = codes[0]
        elif codes:
            rows = self._many(codes)
        else:
            rows = np.zeros(len(block.panes), np.int64)
        wanted = np.ones(len(rows), np.bool_)
        for name, _ in self.view.where:
            wanted &= self._accepts(name)[block.values[self.coder.dimensions.index(name)]]
        return np.where(wanted, rows, -1)

    def _many(self, codes: Sequence[Ints]) -> Ints:
        together = codes[0]
        for name, column in zip(self.view.by[1:], codes[1:], strict=True):
            together = together * len(self._codes(name)) + column
        _, first, back = np.unique(together, return_index=True, return_inverse=True)
        found = []
        for key in zip(*(column[first].tolist() for column in codes), strict=True):
            row = self._rows.setdefault(key, len(self._names))
            if row == len(self._names):
                self._names.append(key)
            found.append(row)
        return np.array(found, np.int64)[back]

    def _accepts(self, name: str) -> NDArray[np.bool_]:
        """For each code of a dimension whether the view accepts it."""
        names, known = self._codes(name), self._accepted.get(name, np.zeros(0, np.bool_))
        if len(known) < len(names):
            conditions = [condition for wanted, condition in self.view.where if wanted == name]
            new = [all(one.accepts(value) for one in conditions) for value in names[len(known) :]]
            known = self._accepted[name] = np.concatenate((known, np.array(new, np.bool_)))
        return known

    def _codes(self, name: str) -> list[str]:
        return self.coder.values[self.coder.dimensions.index(name)].names
