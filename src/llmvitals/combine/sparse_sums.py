"""Sparse exact sums: adds up values by (row, code) for all rows at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.sketch.runs import run_starts

Ints = NDArray[np.int64]

SHIFT: Final = 32
"""A key is row << SHIFT | code, so that sorted keys lie row by row."""
_MAX_RUNS: Final = 8
_DENSE: Final = 4


class SparseValues(NamedTuple):
    """m values that calls add to sparse sums, sorted by code.

    places: the call of each value (a call may have several). codes: of each value, ascending. values (width ×
    m). labels: the label in the keys for each code, ascending.
    """

    places: Ints
    codes: Ints
    values: Ints
    labels: Ints

    @classmethod
    def of(cls, places: Ints, codes: Ints, labels: Ints, values: Ints) -> SparseValues:
        """Sort values by code. values: of each call."""
        order = _order(codes, len(labels))
        places = places[order]
        return cls(places, codes[order], np.take(values, places, axis=1), labels)

    def only(self, wanted: NDArray[np.bool_]) -> SparseValues:
        """Only the values of the wanted calls; places count among these."""
        if not len(self.places):
            return self
        inside = wanted[self.places]
        places = (np.cumsum(wanted) - 1)[self.places[inside]]
        return SparseValues(places, self.codes[inside], np.compress(inside, self.values, axis=1), self.labels)


_NONE: Final = np.empty(0, np.int64)
NO_SPARSE_VALUES: Final = SparseValues(_NONE, _NONE, np.empty((0, 0), np.int64), _NONE)


class Sums:
    """Sums of integer vectors by (row, code), kept as sorted runs that are merged when they are read.

    Law: addition of integers, so neither the order of `add` nor when runs are merged changes what is read.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs: list[tuple[Ints, Ints]] = []

    def add(self, rows: Ints, rows_end: int, added: SparseValues) -> None:
        """Add values. rows: the row of each call, below rows_end."""
        if not len(added.places):
            return
        added_rows = rows[added.places]
        if rows_end == 1:  # all in one row, and in the order of the codes already
            self._runs.append(_summed(added.labels[added.codes], added.values))
        elif rows_end * len(added.labels) <= _DENSE * len(added_rows):
            self._runs.append(_dense(added_rows, rows_end, added))
        else:
            order = _order(added_rows, rows_end)
            keys = (added_rows << SHIFT | added.labels[added.codes])[order]
            self._runs.append(_summed(keys, np.take(added.values, order, axis=1)))
        if len(self._runs) > _MAX_RUNS:
            self.merge()

    def merge(self) -> None:
        """Merge all runs into one."""
        if len(self._runs) > 1:
            keys = np.concatenate([run[0] for run in self._runs])
            values = np.concatenate([run[1] for run in self._runs], axis=1)
            order = np.argsort(keys, kind="stable")  # a stable sort is fast on a few sorted runs
            self._runs = [_summed(keys[order], np.take(values, order, axis=1))]

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def cut(self, bounds: Ints) -> tuple[Ints, Ints, list[int]]:
        """Labels and values (width × n) sorted by key, and for each bound its place among the keys."""
        self.merge()
        empty = np.empty(0, np.int64), np.empty((self._width, 0), np.int64)
        keys, values = self._runs[0] if self._runs else empty
        return keys & (1 << SHIFT) - 1, values, np.searchsorted(keys, bounds).tolist()


def _dense(rows: Ints, rows_end: int, added: SparseValues) -> tuple[Ints, Ints]:
    # Marking the places in a table is cheaper than sorting while the table is not much larger than the
    # values.
    end = len(added.labels)
    places = rows * end + added.codes
    used = np.zeros(rows_end * end, np.bool_)
    used[places] = True
    used_places = np.flatnonzero(used)
    number = np.empty(len(used), np.int32)
    number[used_places] = np.arange(len(used_places), dtype=np.int32)
    places = number[places].astype(np.int64)
    sums = np.zeros((len(added.values), len(used_places)), np.int64)
    for row_sums, values in zip(sums, added.values, strict=True):
        np.add.at(row_sums, places, values)
    return used_places // end << SHIFT | added.labels[used_places % end], sums


def _summed(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Sum the values of equal keys; keys: ascending."""
    starts = run_starts(keys)
    if len(starts) == len(keys):
        return keys, values
    return keys[starts], np.add.reduceat(values, starts, axis=1)


def _order(numbers: Ints, end: int) -> Ints:
    """The stable order of numbers in 0 … end − 1, end below 2³²: numpy sorts 16 bits at a time by radix."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if end > 1 << 16:
        order = order[np.argsort((numbers[order] >> 16).astype(np.uint16), kind="stable")]
    return order
