"""Sparse exact sums: what many calls add to (row, code), all rows at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SHIFT: Final = 32
"""A key is row << SHIFT | code, so that sorted keys lie row by row."""
_RUNS: Final = 8
_ROOMY: Final = 4


class Marks(NamedTuple):
    """What calls add somewhere else than to the plain sums, in the order of the codes.

    places: which calls (m; a call may come more than once). codes: where each adds to, ascending. values: how
    much (width × m). labels: what each code stands for in a key, ascending.
    """

    places: Ints
    codes: Ints
    values: Ints
    labels: Ints

    @classmethod
    def of(cls, places: Ints, codes: Ints, labels: Ints, values: Ints) -> Marks:
        """Marks out of codes in any order; values: of each call."""
        order = _order(codes, len(labels))
        places = places[order]
        return cls(places, codes[order], np.take(values, places, axis=1), labels)

    def only(self, wanted: NDArray[np.bool_]) -> Marks:
        """Those of the wanted calls, by their places among these."""
        if not len(self.places):
            return self
        inside = wanted[self.places]
        places = (np.cumsum(wanted) - 1)[self.places[inside]]
        return Marks(places, self.codes[inside], np.compress(inside, self.values, axis=1), self.labels)


_NONE: Final = np.empty(0, np.int64)
NO_MARKS: Final = Marks(_NONE, _NONE, np.empty((0, 0), np.int64), _NONE)


class Sums:
    """Sums of vectors of integers by (row, code), as sorted runs that are merged when they are read.

    Law: addition of integers, so neither the order of `add` nor when runs are merged changes what is read.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs: list[tuple[Ints, Ints]] = []

    def add(self, rows: Ints, rows_end: int, marks: Marks) -> None:
        """Add marks; rows: the row of each call, below rows_end."""
        if not len(marks.places):
            return
        mine = rows[marks.places]
        if rows_end == 1:  # all in one row, and in the order of the codes already
            self._runs.append(_summed(marks.labels[marks.codes], marks.values))
        elif rows_end * len(marks.labels) <= _ROOMY * len(mine):
            self._runs.append(_dense(mine, rows_end, marks))
        else:
            order = _order(mine, rows_end)
            keys = (mine << SHIFT | marks.labels[marks.codes])[order]
            self._runs.append(_summed(keys, np.take(marks.values, order, axis=1)))
        if len(self._runs) > _RUNS:
            self.merge()

    def merge(self) -> None:
        """Make one run of all."""
        if len(self._runs) > 1:
            keys = np.concatenate([run[0] for run in self._runs])
            values = np.concatenate([run[1] for run in self._runs], axis=1)
            order = np.argsort(keys, kind="stable")  # which is fast on a few runs that are sorted
            self._runs = [_summed(keys[order], np.take(values, order, axis=1))]

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def cut(self, bounds: Ints) -> tuple[Ints, Ints, list[int]]:
        """Labels and values (width × n) in the order of their keys, and where each of these keys would be."""
        self.merge()
        empty = np.empty(0, np.int64), np.empty((self._width, 0), np.int64)
        keys, values = self._runs[0] if self._runs else empty
        return keys & (1 << SHIFT) - 1, values, np.searchsorted(keys, bounds).tolist()


def _dense(rows: Ints, rows_end: int, marks: Marks) -> tuple[Ints, Ints]:
    # Marking all places is cheaper than sorting where there are not many more of them than calls.
    end = len(marks.labels)
    places = rows * end + marks.codes
    there = np.zeros(rows_end * end, np.bool_)
    there[places] = True
    found = np.flatnonzero(there)
    number = np.empty(len(there), np.int32)
    number[found] = np.arange(len(found), dtype=np.int32)
    places = number[places].astype(np.int64)
    sums = np.zeros((len(marks.values), len(found)), np.int64)
    for line, values in zip(sums, marks.values, strict=True):
        np.add.at(line, places, values)
    return found // end << SHIFT | marks.labels[found % end], sums


def _summed(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Of ascending keys each one once, and the sums of its values."""
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    if len(starts) == len(keys):
        return keys, values
    return keys[starts], np.add.reduceat(values, starts, axis=1)


def _order(numbers: Ints, end: int) -> Ints:
    """The stable order of numbers in 0 … end − 1, end below 2³²: numpy sorts 16 bits at a time by radix."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if end > 1 << 16:
        order = order[np.argsort((numbers[order] >> 16).astype(np.uint16), kind="stable")]
    return order
