"""The sums of many series and panes as columns: only those that the rules read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.vitals import Vitals
from llmvitals.rules.condition.screening import Windows
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.sketch.counters import MAX, MAXIMA, SUM, SUMS
from llmvitals.sketch.quantiles import NO_BINS
from llmvitals.sketch.runs import run_starts
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from llmvitals.backtest.reader import Block
    from llmvitals.combine.multi_valued import MultiValued
    from llmvitals.rules.condition.kind import RequiredData
    from llmvitals.rules.condition.screening import Screen
    from llmvitals.rules.rule import Rule
    from llmvitals.sketch.top_k import Contributors

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SHIFT: Final = 32
"""A key is row << SHIFT | pane, so that sorted keys lie row by row, in the order of panes."""
_MASK: Final = (1 << SHIFT) - 1


class SparseCounts(NamedTuple):
    """Sparse counts: key, label (a bin, or a tool's code) and count (m each), sorted by key and label."""

    keys: Ints
    labels: Ints
    counts: Ints

    def only(self, keys: Ints) -> SparseCounts:
        """The counts of these keys (sorted)."""
        if not len(self.keys) or not len(keys):
            return NO_COUNTS
        near = np.minimum(np.searchsorted(keys, self.keys), len(keys) - 1)
        mine = keys[near] == self.keys
        return SparseCounts(self.keys[mine], self.labels[mine], self.counts[mine])

    def moved(self, keys: Ints, new: Ints) -> SparseCounts:
        """The counts by other keys, both sorted: those of each of `keys` count in the `new` one beside it."""
        if not len(self.keys):
            return self
        moved = new[np.searchsorted(keys, self.keys)]
        order = np.lexsort((self.labels, moved))
        moved, labels = moved[order], self.labels[order]
        starts = run_starts(moved, labels)
        return SparseCounts(moved[starts], labels[starts], np.add.reduceat(self.counts[order], starts))

    def edges(self, keys: Ints) -> list[int]:
        """The start of the counts of each key (all sorted), and the end of the last ones."""
        if not len(self.keys):
            return [0] * (len(keys) + 1)
        bounds = np.concatenate((keys, keys[-1:] + 1))
        return [int(edge) for edge in np.searchsorted(self.keys, bounds)]


NO_COUNTS: Final = SparseCounts(*(np.empty(0, np.int64) for _ in range(3)))


def sparse_counts(keys: Ints, entry: Ints, several: MultiValued) -> SparseCounts:
    """Add up multi-valued fields by entry; entry: that of each call, below 0 for none."""
    mine = entry[several.places]
    inside = mine >= 0
    if not inside.any():
        return NO_COUNTS
    found, back = np.unique(mine[inside] << SHIFT | several.names[inside], return_inverse=True)
    counts = np.bincount(back, several.values[inside], len(found)).astype(np.int64)
    return SparseCounts(keys[found >> SHIFT], found & _MASK, counts)


def union(one: SparseCounts, other: SparseCounts) -> SparseCounts:
    """Both together; no key may be in both."""
    if not len(one.keys) or not len(other.keys):
        return one if len(one.keys) else other
    keys, labels, counts = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.lexsort((labels, keys))
    return SparseCounts(keys[order], labels[order], counts[order])


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """n entries, one for each series and pane with calls, sorted by key.

    sums, tops: a row for each of those in needs.
    """

    needs: RequiredData
    keys: Ints
    sums: Ints
    tops: Ints
    bins: SparseCounts = NO_COUNTS
    tools: SparseCounts = NO_COUNTS

    @classmethod
    def of(cls, block: Block, rows: Ints, needs: RequiredData) -> SeriesColumns:
        """Add up the calls of a block; rows: the series of each call, below 0 for none."""
        places = np.flatnonzero(rows >= 0)
        calls = rows[places] << SHIFT | block.panes[places]
        order = np.argsort(calls, kind="stable")
        places, calls = places[order], calls[order]
        starts = run_starts(calls)
        keys = calls[starts]
        lines = np.array([SUM[name] for name in needs.sums], np.int64)
        greatest = np.array([SUM[name.removesuffix("_max")] for name in needs.tops], np.int64)
        entry = np.empty(len(block.panes), np.int64)
        entry[:] = -1
        entry[places] = np.repeat(np.arange(len(keys)), np.diff([*starts, len(calls)]))
        return cls(
            needs,
            keys,
            _reduced(np.add, block.vectors[np.ix_(lines, places)], starts),
            _reduced(np.maximum, block.vectors[np.ix_(greatest, places)], starts),
            sparse_counts(keys, entry, block.binned(needs.sketches)),
            sparse_counts(keys, entry, block.tools) if needs.tools else NO_COUNTS,
        )

    @property
    def rows(self) -> Ints:
        """The series of each entry."""
        return self.keys >> SHIFT

    @property
    def panes(self) -> Ints:
        """The pane of each entry."""
        return self.keys & _MASK

    def __len__(self) -> int:
        return len(self.keys)

    def total(self, name: str) -> Ints:
        """A total of each entry."""
        line: Ints = self.sums[self.needs.sums.index(name)]
        return line

    def top(self, name: str) -> Ints:
        """A maximum of each entry."""
        line: Ints = self.tops[self.needs.tops.index(name)]
        return line

    def only(self, wanted: Flags) -> SeriesColumns:
        """Only the wanted entries."""
        if wanted.all():
            return self
        keys = self.keys[wanted]
        kept = np.compress(wanted, self.sums, axis=1), np.compress(wanted, self.tops, axis=1)
        return SeriesColumns(self.needs, keys, *kept, self.bins.only(keys), self.tools.only(keys))

    def coarse(self, grain: int, low: int = 0) -> SeriesColumns:
        """Join the entries of each `grain` aligned panes into one, in the last pane with calls.

        Below the pane `low` it is the last one of all, with calls or without.
        """
        if not len(self):
            return self
        slots = (self.rows << SHIFT) + self.panes // grain
        starts = run_starts(slots)
        ends = np.concatenate((starts[1:], [len(self)])) - 1
        joined = self.keys[ends]
        last = self.panes[ends] // grain * grain + grain - 1
        joined = np.where(last < low, (self.rows[ends] << SHIFT) + last, joined)
        keys = np.repeat(joined, np.diff([*starts, len(self)]))
        return SeriesColumns(
            self.needs,
            joined,
            _reduced(np.add, self.sums, starts),
            _reduced(np.maximum, self.tops, starts),
            *(counts.moved(self.keys, keys) for counts in (self.bins, self.tools)),
        )

    def beside(self, other: SeriesColumns) -> SeriesColumns:
        """Both together; no key may be in both."""
        if not len(self) or not len(other):
            return self if len(self) else other
        keys = np.concatenate((self.keys, other.keys))
        order = np.argsort(keys, kind="stable")
        return SeriesColumns(
            self.needs,
            keys[order],
            np.concatenate((self.sums, other.sums), axis=1)[:, order],
            np.concatenate((self.tops, other.tops), axis=1)[:, order],
            union(self.bins, other.bins),
            union(self.tools, other.tools),
        )

    def vitals(self, tools: Sequence[str]) -> Iterator[tuple[int, int, Vitals]]:
        """Row, pane and vitals of each entry; sums that are not read are 0. tools: the names by code."""
        sums, tops = np.zeros((len(SUMS), len(self)), np.int64), np.zeros((len(MAXIMA), len(self)), np.int64)
        sums[[SUM[name] for name in self.needs.sums]] = self.sums
        tops[[MAX[name] for name in self.needs.tops]] = self.tops
        keys, counts = self.bins.labels.astype(np.uint16), self.bins.counts
        bins = [
            (keys[low:high], counts[low:high]) if low < high else NO_BINS
            for low, high in pairwise(self.bins.edges(self.keys))
        ]
        used = [self._tools(slice(*span), tools) for span in pairwise(self.tools.edges(self.keys))]
        columns = self.rows.tolist(), self.panes.tolist(), sums.T.tolist(), tops.T.tolist(), bins, used
        for row, pane, total, greatest, found, asked in zip(*columns, strict=True):
            yield row, pane, Vitals(tuple(total), tuple(greatest), found, asked)

    def _tools(self, mine: slice, names: Sequence[str]) -> Contributors:
        if mine.start == mine.stop:
            return {}
        used = zip(self.tools.labels[mine].tolist(), self.tools.counts[mine].tolist(), strict=True)
        return {"tool": {names[code]: (count, 0, 0, 0, 0, 0) for code, count in used}}


def empty(needs: RequiredData) -> SeriesColumns:
    """No entries."""
    none = np.empty(0, np.int64)
    return SeriesColumns(
        needs, none, np.empty((len(needs.sums), 0), np.int64), np.empty((len(needs.tops), 0), np.int64)
    )


def _reduced(how: np.ufunc, lines: Ints, starts: Ints) -> Ints:
    if not len(starts):
        return np.empty((len(lines), 0), np.int64)
    reduced: Ints = how.reduceat(lines, starts, axis=1)
    return reduced


def screen_of(rule: Rule) -> Screen | None:
    """The rule's screen; None if the detector has to read every series.

    A rule that fires on too few calls may fire for any series.
    """
    if rule.no_data not in ("ok", "keep") or rule.condition.required_data is None:
        return None
    return rule.condition.screen


def first_panes(screen: Screen, columns: SeriesColumns, pane: int, since: int) -> Ints:
    """For each entry the first pane in which the rule may fire: its own, or that in which it leaves.

    FOREVER if it cannot fire. columns: all entries from the screen's window before the pane `since` on; panes
    before `since` are not checked. pane: µs.
    """
    length = bucket_length(screen.window, pane)
    windows = Windows.of(columns, length // pane, screen.window // length)
    first = np.where(screen.may_fire(windows) & (windows.panes >= since), windows.panes, FOREVER)
    return np.minimum(first[: len(columns)], first[len(columns) :])
