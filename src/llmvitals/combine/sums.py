"""Sparse exact sums: what many calls add to (row, code), all rows at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.chunk import Marks

Ints = NDArray[np.int64]

SHIFT: Final = 32
"""A key is row << SHIFT | code, so that sorted keys lie row by row."""
_RUNS: Final = 8
_ROOMY: Final = 4


class Sums:
    """Sums of vectors of integers by (row, code), as sorted runs that are merged when they are read.

    Law: addition of integers, so neither the order of `add` nor when runs are merged changes what is read.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs: list[tuple[Ints, Ints]] = []

    def add(self, rows: Ints, marks: Marks) -> None:
        """Add marks, whose first values are positive; rows: the row of each call."""
        if not len(marks.places):
            return
        mine = rows[marks.places]
        size = (int(mine.max()) + 1) * marks.end
        if size <= _ROOMY * len(mine):
            self._runs.append(_dense(mine * marks.end + marks.codes, marks, size))
        else:
            self._runs.append(_sorted(mine << SHIFT | marks.codes, marks.values))
        if len(self._runs) > _RUNS:
            self.merge()

    def merge(self) -> None:
        """Make one run of all."""
        if len(self._runs) > 1:
            keys = np.concatenate([run[0] for run in self._runs])
            self._runs = [_sorted(keys, np.concatenate([run[1] for run in self._runs], axis=1))]

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def by_row(self, rows: int) -> tuple[Ints, Ints, Ints]:
        """Codes and values (width × n), row after row, and the rows + 1 places where rows begin and end."""
        self.merge()
        keys, values = (
            self._runs[0] if self._runs else (np.empty(0, np.int64), np.empty((self._width, 0), np.int64))
        )
        edges = np.searchsorted(keys, np.arange(rows + 1, dtype=np.int64) << SHIFT)
        return keys & (1 << SHIFT) - 1, values, edges


def _dense(keys: Ints, marks: Marks, size: int) -> tuple[Ints, Ints]:
    """What `_sorted` gives, for keys of row × end + code below `size`."""
    # A table of all places is cheaper than sorting where there are not many more of them than calls.
    table = np.zeros((len(marks.values), size), np.int64)
    for line, values in zip(table, marks.values, strict=True):
        np.add.at(line, keys, values)
    keys = np.flatnonzero(table[0])
    return keys // marks.end << SHIFT | keys % marks.end, table[:, keys]


def _sorted(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Keys ascending without repeats, and the sums of their values."""
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[starts], np.add.reduceat(values[:, order], starts, axis=1)
