"""What many series held in many panes, side by side: only what some rules read of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.backtest.marks import NO_MARKS, SHIFT, Marks, both, marked
from llmvitals.record.vitals import Vitals
from llmvitals.sketch.counters import MAX, MAXIMA, SUM, SUMS
from llmvitals.sketch.quantiles import NO_BINS

if TYPE_CHECKING:
    from llmvitals.backtest.block import Block
    from llmvitals.rules.condition.needs import Needs
    from llmvitals.sketch.top_k import Contributors

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_MASK: Final = (1 << SHIFT) - 1


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """n entries, one for each series and pane with calls. keys: ascending. sums, tops: as Needs has them."""

    needs: Needs
    keys: Ints
    sums: Ints
    tops: Ints
    bins: Marks = NO_MARKS
    tools: Marks = NO_MARKS

    @classmethod
    def of(cls, block: Block, rows: Ints, needs: Needs) -> SeriesColumns:
        """The calls of a block; rows: the series of each, below 0 for none."""
        places = np.flatnonzero(rows >= 0)
        calls = rows[places] << SHIFT | block.panes[places]
        order = np.argsort(calls, kind="stable")
        places, calls = places[order], calls[order]
        starts = np.flatnonzero(np.concatenate(([True], calls[1:] != calls[:-1]))) if len(calls) else order
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
            marked(keys, entry, block.binned(needs.sketches)),
            marked(keys, entry, block.tools) if needs.tools else NO_MARKS,
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
        """The wanted entries."""
        if wanted.all():
            return self
        keys = self.keys[wanted]
        kept = np.compress(wanted, self.sums, axis=1), np.compress(wanted, self.tops, axis=1)
        return SeriesColumns(self.needs, keys, *kept, self.bins.only(keys), self.tools.only(keys))

    def coarse(self, grain: int) -> SeriesColumns:
        """What lies within the same `grain` panes as one, in the last of them. Only for sums."""
        if not len(self):
            return self
        slots = (self.rows << SHIFT) + self.panes // grain
        starts = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1])))
        ends = np.concatenate((starts[1:], [len(self)])) - 1
        none = np.empty((0, len(ends)), np.int64)
        return SeriesColumns(self.needs, self.keys[ends], _reduced(np.add, self.sums, starts), none)

    def beside(self, other: SeriesColumns) -> SeriesColumns:
        """Both, where no key is in both."""
        if not len(self) or not len(other):
            return self if len(self) else other
        keys = np.concatenate((self.keys, other.keys))
        order = np.argsort(keys, kind="stable")
        return SeriesColumns(
            self.needs,
            keys[order],
            np.concatenate((self.sums, other.sums), axis=1)[:, order],
            np.concatenate((self.tops, other.tops), axis=1)[:, order],
            both(self.bins, other.bins),
            both(self.tools, other.tools),
        )

    def vitals(self, tools: Sequence[str]) -> Iterator[tuple[int, int, Vitals]]:
        """Row, pane and vitals of each entry; what nobody reads is 0. tools: the names by code."""
        sums, tops = np.zeros((len(SUMS), len(self)), np.int64), np.zeros((len(MAXIMA), len(self)), np.int64)
        sums[[SUM[name] for name in self.needs.sums]] = self.sums
        tops[[MAX[name] for name in self.needs.tops]] = self.tops
        bins, used = self.bins.edges(self.keys), self.tools.edges(self.keys)
        labels = self.bins.labels.astype(np.uint16)
        told = zip(self.rows.tolist(), self.panes.tolist(), sums.T.tolist(), tops.T.tolist(), strict=True)
        for place, (row, pane, total, greatest) in enumerate(told):
            mine, theirs = slice(*bins[place : place + 2]), slice(*used[place : place + 2])
            found = (labels[mine], self.bins.counts[mine]) if mine.start < mine.stop else NO_BINS
            yield row, pane, Vitals(tuple(total), tuple(greatest), found, self._tools(theirs, tools))

    def _tools(self, mine: slice, names: Sequence[str]) -> Contributors:
        if mine.start == mine.stop:
            return {}
        used = zip(self.tools.labels[mine].tolist(), self.tools.counts[mine].tolist(), strict=True)
        return {"tool": {names[code]: (count, 0, 0, 0, 0, 0) for code, count in used}}


def empty(needs: Needs) -> SeriesColumns:
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
