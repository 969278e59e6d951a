"""Some rules of one view, over blocks of calls: asked only of the series of which they may say anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.backtest.columns import SeriesColumns, empty
from llmvitals.backtest.screen import first_panes, screen_of
from llmvitals.record.alert import Alert
from llmvitals.rules.condition.needs import Needs
from llmvitals.rules.engine import RuleEngine
from llmvitals.rules.rule import Rules
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmvitals.backtest.block import Block
    from llmvitals.backtest.reader import Coder
    from llmvitals.record.view import View
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.rule import Rule

    Ints = NDArray[np.int64]
    Panes = list[tuple[int, Vitals]]

_WINDOW: Final = frozenset(("ring", "sum"))
"""What detect/trailing keeps."""
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class Post:
    """rules: of one view, none of them without `needs`; all of them can be screened, or none is.

    A series is asleep as long as a screen says that there is nothing to say of it: only what it held within
    the longest window is kept, and its detectors are told of that when it wakes up. It falls asleep when none
    of its alerts is alive and a whole block brings nothing.

    Law: the alerts are the same as if every series had been awake all the time.
    """

    def __init__(self, view: View, rules: Sequence[Rule], pane: int, coder: Coder) -> None:
        self.alerts: list[Alert] = []
        self._view, self._rules, self._pane, self._coder = view, rules, pane, coder
        self._watch = RuleEngine(Rules(tuple(rules), (view,), {view.name: tuple(rules)}), pane, bare=True)
        self._series = _Series(view, coder)
        self._needs = Needs.joined(needs for rule in rules if (needs := rule.condition.needs))
        self._grain = min(rule.condition.grain(pane) for rule in rules)
        self._screens = [screen for rule in rules if (screen := screen_of(rule))]
        self._back = max((screen.window // pane for screen in self._screens), default=0)
        self._screened = len(self._screens) == len(rules)
        self._looked = 0
        self._recent = empty(self._needs)
        self._states: dict[int, dict[str, Any]] = {}

    def take(self, block: Block, low: int) -> None:
        """The panes below `low` have closed; block: their calls, but for those of earlier blocks."""
        rows = self._series.rows(block)
        bag = SeriesColumns.of(block, rows, self._needs)
        if self._screened:
            bag = self._screen(bag, low)
        fed = self._feed(bag, low) if self._grain == 1 else self._feed_coarsely(bag, low)
        for row in [row for row in self._states if row not in fed]:
            if self._watch.due(self._states[row]) <= low:
                self._advance(row, [], low)

    def _screen(self, bag: SeriesColumns, low: int) -> SeriesColumns:
        """The entries of those who are awake. Others wake up, or fall asleep."""
        seen = self._recent.beside(bag)
        self._recent = seen.only(seen.panes >= low - self._back)
        first = np.full(self._series.count, FOREVER)
        if len(seen):
            panes = [first_panes(screen, seen, self._pane, self._looked) for screen in self._screens]
            np.minimum.at(first, seen.rows, np.minimum.reduce(panes))
        self._looked = low
        self._states = {
            row: state for row, state in self._states.items() if first[row] < FOREVER or _alive(state)
        }
        awake = np.zeros(len(first), np.bool_)
        awake[list(self._states)] = True
        self._wake(seen.only((first[seen.rows] < FOREVER) & ~awake[seen.rows]), first, low)
        return bag.only(awake[bag.rows])

    def _wake(self, seen: SeriesColumns, first: Ints, low: int) -> None:
        """Ask of each series from the first pane on at which there may be something to say."""
        for row, found in groupby(seen.vitals(self._coder.tools.names), key=itemgetter(0)):
            panes = [(pane, vitals) for _, pane, vitals in found]
            before = [entry for entry in panes if entry[0] < first[row]]
            if before:
                state = self._states.setdefault(row, {})
                self._watch.prime(self._view.name, self._series.name(row), state, before)
            self._advance(row, panes[len(before) :], low)

    def _feed(self, bag: SeriesColumns, low: int) -> set[int]:
        fed = set()
        for row, found in groupby(bag.vitals(self._coder.tools.names), key=itemgetter(0)):
            self._advance(row, [(pane, vitals) for _, pane, vitals in found], low)
            fed.add(row)
        return fed

    def _feed_coarsely(self, bag: SeriesColumns, low: int) -> set[int]:
        """Several panes as one, and as they are only to those who have something to say."""
        told, fed, heard = [], set(), len(self.alerts)
        for row, found in groupby(bag.coarse(self._grain).vitals(()), key=itemgetter(0)):
            before = _encode(self._states.get(row, {}))
            if self._advance(row, [(pane, vitals) for _, pane, vitals in found], low):
                self._states[row] = _decode(before)
                told.append(row)
            fed.add(row)
        # What was said is said again, of each pane at its time.
        del self.alerts[heard:]
        self._feed(bag.only(np.isin(bag.rows, told)), low)
        return fed

    def _advance(self, row: int, closed: Panes, low: int) -> bool:
        """Whether anything was said."""
        state = self._states.pop(row, {})
        said = self._watch.advance(self._view.name, self._series.name(row), state, floor=low, closed=closed)
        alerts = [each for each in said if isinstance(each, Alert)]
        self.alerts += alerts
        if state:
            self._states[row] = state
        return bool(alerts)


def _alive(state: dict[str, Any]) -> bool:
    """Whether an alert fires or is pending, or a detector knows more than what its window holds."""
    return any(entry["lives"] or entry["seen"].keys() - _WINDOW for entry in state["rules"].values())


@dataclass(slots=True)
class _Series:
    """The rows of a view's series, in the order of first meeting."""

    view: View
    coder: Coder
    _rows: dict[tuple[int, ...], int] = field(default_factory=dict)
    _names: list[tuple[int, ...]] = field(default_factory=list)
    _accepted: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Rows so far, at least."""
        if len(self.view.by) == 1:
            return len(self._codes(self.view.by[0]))
        return max(len(self._names), 1)

    def name(self, row: int) -> tuple[str, ...]:
        """The values of `by`."""
        codes = (row,) if len(self.view.by) == 1 else self._names[row] if self.view.by else ()
        return tuple(self._codes(name)[code] for name, code in zip(self.view.by, codes, strict=True))

    def rows(self, block: Block) -> Ints:
        """The row of each call; -1 for those that the view does not want."""
        columns = [block.values[self.coder.dimensions.index(name)] for name in self.view.by]
        if len(columns) == 1:
            rows = columns[0]
        elif columns:
            rows = self._many(columns)
        else:
            rows = np.zeros(len(block.panes), np.int64)
        wanted = np.ones(len(rows), np.bool_)
        for name, _ in self.view.where:
            wanted &= self._accepts(name)[block.values[self.coder.dimensions.index(name)]]
        return np.where(wanted, rows, -1)

    def _many(self, columns: Sequence[Ints]) -> Ints:
        together = columns[0]
        for name, column in zip(self.view.by[1:], columns[1:], strict=True):
            together = together * len(self._codes(name)) + column
        _, first, back = np.unique(together, return_index=True, return_inverse=True)
        found = []
        for codes in zip(*(column[first].tolist() for column in columns), strict=True):
            row = self._rows.setdefault(codes, len(self._names))
            if row == len(self._names):
                self._names.append(codes)
            found.append(row)
        return np.array(found, np.int64)[back]

    def _accepts(self, name: str) -> NDArray[np.bool_]:
        """For each code of a dimension whether the view wants it."""
        names, known = self._codes(name), self._accepted.get(name, np.zeros(0, np.bool_))
        if len(known) < len(names):
            conditions = [condition for wanted, condition in self.view.where if wanted == name]
            new = [all(one.accepts(value) for one in conditions) for value in names[len(known) :]]
            known = self._accepted[name] = np.concatenate((known, np.array(new, np.bool_)))
        return known

    def _codes(self, name: str) -> list[str]:
        return self.coder.values[self.coder.dimensions.index(name)].names
