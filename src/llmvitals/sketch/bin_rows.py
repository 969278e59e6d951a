"""The bins of many series, row by row in three vectors (compressed sparse rows)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.sketch import quantiles
from llmvitals.sketch.runs import run_starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_SHIFT: Final = 16
"""Bits of a key."""


@dataclass(frozen=True, slots=True)
class BinRows:
    """n sparse vectors of bins (see sketch.quantiles).

    edges (n + 1): where each row begins in keys and counts, and the end. keys: ascending in each row.

    Law: `summed` adds counts key by key: exact, and the order of the rows does not matter.
    """

    edges: Ints
    keys: NDArray[np.uint16]
    counts: Ints

    @classmethod
    def of(cls, parts: Sequence[quantiles.Bins]) -> BinRows:
        """Make a row of each part."""
        if not parts:
            return NO_BIN_ROWS
        edges = _edges(np.array([len(keys) for keys, _ in parts], np.int64))
        keys = np.concatenate([keys for keys, _ in parts], dtype=np.uint16)
        return cls(edges, keys, np.concatenate([counts for _, counts in parts], dtype=np.int64))

    @classmethod
    def empty(cls, count: int) -> BinRows:
        """Rows without bins."""
        return cls(np.zeros(count + 1, np.int64), NO_BIN_ROWS.keys, NO_BIN_ROWS.counts)

    @classmethod
    def concatenated(cls, parts: Sequence[BinRows]) -> BinRows:
        """All rows, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([part.lengths for part in parts])
        keys = np.concatenate([part.keys for part in parts])
        return cls(_edges(lengths), keys, np.concatenate([part.counts for part in parts]))

    @property
    def lengths(self) -> Ints:
        """How many bins each row has."""
        return self.edges[1:] - self.edges[:-1]  # np.diff takes five times as long for few rows

    def rows(self) -> list[quantiles.Bins]:
        """Each row."""
        keys, counts = self.keys, self.counts
        return [(keys[start:end], counts[start:end]) for start, end in pairwise(self.edges.tolist())]

    def part(self, start: int, end: int) -> BinRows:
        """The rows from start up to end."""
        first, last = self.edges[start], self.edges[end]
        return BinRows(self.edges[start : end + 1] - first, self.keys[first:last], self.counts[first:last])

    def take(self, rows: Ints) -> BinRows:
        """Some rows, in this order."""
        starts = self.edges[rows]
        edges = _edges(self.edges[rows + 1] - starts)
        places = np.arange(edges[-1]) + np.repeat(starts - edges[:-1], edges[1:] - edges[:-1])
        return BinRows(edges, self.keys[places], self.counts[places])

    def summed(self, groups: Ints, count: int) -> BinRows:
        """One row for each group. groups: that of each row, in 0 … count − 1."""
        codes = np.repeat(groups << _SHIFT, self.lengths) | self.keys
        order = np.argsort(codes, kind="stable")  # fast on a few sorted runs
        codes = codes[order]
        starts = run_starts(codes)
        found = codes[starts]
        edges = np.searchsorted(found, np.arange(count + 1) << _SHIFT)
        sums = np.add.reduceat(self.counts[order], starts) if len(starts) else self.counts
        return BinRows(edges, found.astype(np.uint16), sums)

    def quantiles(self, wanted: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
        """See quantiles.read_rows."""
        return quantiles.read_rows(self.edges, self.keys, self.counts, wanted)


def _edges(lengths: Ints) -> Ints:
    edges = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=edges[1:])
    return edges


NO_BIN_ROWS: Final = BinRows(np.zeros(1, np.int64), *quantiles.NO_BINS)
