"""The worst calls of each series: the greatest values, and the least trace id among equals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.names import clean
from llmvitals.sketch.heavy import EXEMPLARS

Ints = NDArray[np.int64]


class Worst:
    """For each row the EXEMPLARS greatest of (value, trace id); a value of 0 is no exemplar.

    Law: a union cut to the greatest, so neither order nor grouping of `add` changes what is read.
    """

    def __init__(self) -> None:
        self._kept: dict[int, list[tuple[int, str]]] = {}
        self._least = np.zeros(0, np.int64)

    def add(self, rows: Ints, values: Ints, ids: Sequence[str], rows_end: int) -> None:
        """Look at values (n) of rows (n, in 0 … rows_end − 1); ids: a trace id for each."""
        if rows_end > len(self._least):
            self._least = np.concatenate((self._least, np.zeros(2 * rows_end - len(self._least), np.int64)))
        at = np.flatnonzero(values >= np.maximum(self._least[rows], 1))
        at = at[values[at] >= _third(rows[at], values[at], rows_end)[rows[at]]]
        found: dict[int, set[tuple[int, str]]] = defaultdict(set)
        for row, value, place in zip(rows[at].tolist(), values[at].tolist(), at.tolist(), strict=True):
            kept = self._kept.get(row, ())
            if len(kept) < EXEMPLARS or (-value, ids[place]) < kept[-1]:
                found[row].add((-value, ids[place]))
        for row, items in found.items():
            items.update(self._kept.get(row, ()))
            kept = self._kept[row] = sorted(items)[:EXEMPLARS]
            if len(kept) == EXEMPLARS:
                self._least[row] = -kept[-1][0]

    def of(self, row: int) -> tuple[tuple[int, str], ...]:
        """(value, trace id), the greatest first."""
        return tuple([(-value, clean(trace)) for value, trace in self._kept.get(row, ())])


def _third(rows: Ints, values: Ints, rows_end: int) -> Ints:
    """For each row its third greatest distinct value, 0 if it has fewer."""
    top = np.zeros(rows_end, np.int64)
    for _ in range(EXEMPLARS):
        top = np.zeros(rows_end, np.int64)
        np.maximum.at(top, rows, values)
        below = values < top[rows]
        rows, values = rows[below], values[below]
    return top
