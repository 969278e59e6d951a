"""Finds the worst calls of each series: the greatest values, and the least trace id among equal values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.codes import clean, clean_all
from llmvitals.sketch.top_k import EXEMPLARS

Ints = NDArray[np.int64]
Calls = tuple[tuple[int, str], ...]

_SPARE: Final = 1_000


class WorstCalls:
    """For each row the EXEMPLARS greatest of (value, trace id); a value of 0 is no exemplar.

    Candidates are collected in a pool, which is pruned when it has grown.

    Law: a union cut to the greatest, so neither order nor grouping of `add` changes what is read.
    """

    def __init__(self) -> None:
        self._rows = self._values = np.empty(0, np.int64)
        self._ids: list[str] = []
        self._least = np.empty(0, np.int64)
        """For each row: smaller values are no candidates."""
        self._last: dict[int, str] = {}
        """For rows with many calls of the value in `_least`: of these only lesser ids are candidates."""

    def add(self, rows: Ints, values: Ints, ids: Sequence[str], rows_end: int) -> None:
        """Add n calls. rows: 0 … rows_end − 1. values: of each call. ids: the trace id of each."""
        more = rows_end - len(self._least)
        if more > 0:
            self._least = np.hstack((self._least, np.ones(more + rows_end, np.int64)))
        candidates = np.flatnonzero(values >= self._least[rows])
        if self._last:
            tied = np.flatnonzero(values[candidates] == self._least[rows[candidates]])
            calls = zip(
                tied.tolist(), rows[candidates[tied]].tolist(), candidates[tied].tolist(), strict=True
            )
            last = self._last
            candidates = np.delete(
                candidates, [i for i, row, place in calls if row in last and ids[place] >= last[row]]
            )
        self._rows = np.concatenate((self._rows, rows[candidates]))
        self._values = np.concatenate((self._values, values[candidates]))
        self._ids += [ids[place] for place in candidates.tolist()]
        limit = 2 * EXEMPLARS * rows_end + _SPARE
        if len(self._ids) > limit:
            self._prune()
        if len(self._ids) > limit:
            self._prune_ties(rows_end)

    def by_row(self, rows_end: int) -> Callable[[int], Calls]:
        """A function that returns a row's worst calls (value, trace id), the greatest first."""
        values, ids, edges = self._sorted(rows_end)
        tied, names = self._tied(), clean_all(ids)

        def top(row: int) -> Calls:
            start, end = edges[row], edges[row + 1]
            if end - start == 1:  # as in most rows of many
                return ((values[start], names[start]),)
            if row not in tied:
                return tuple([(values[at], names[at]) for at in range(start, min(end, start + EXEMPLARS))])
            worst = _worst(values[start:end], ids[start:end])
            return tuple([(value, clean(trace)) for value, trace in worst])

        return top

    def _sorted(self, rows_end: int) -> tuple[list[int], list[str], list[int]]:
        """Values (descending) and ids of the candidates row by row, and the place where each row begins."""
        self._keep(np.lexsort((-self._values, self._rows)))
        edges = np.searchsorted(self._rows, np.arange(rows_end + 1)).tolist()
        return self._values.tolist(), self._ids, edges

    def _tied(self) -> set[int]:
        """The rows with several candidates of one value, once they are sorted."""
        rows, values = self._rows, self._values
        return set(rows[1:][(rows[1:] == rows[:-1]) & (values[1:] == values[:-1])].tolist())

    def _prune(self) -> None:
        """Keep the candidates that reach the third greatest distinct value of their row."""
        rows, values = self._rows, self._values
        for _ in range(EXEMPLARS):
            top = np.ones(len(self._least), np.int64)
            np.maximum.at(top, rows, values)
            below = values < top[rows]
            rows, values = rows[below], values[below]
        for row in np.flatnonzero(top > self._least).tolist() if self._last else ():
            self._last.pop(row, None)
        self._least = np.maximum(self._least, top)
        self._keep(np.flatnonzero(self._values >= self._least[self._rows]))

    def _keep(self, places: Ints) -> None:
        self._rows, self._values = self._rows[places], self._values[places]
        self._ids = [self._ids[place] for place in places.tolist()]

    def _prune_ties(self, rows_end: int) -> None:
        """Keep only the EXEMPLARS greatest of each row, and remember the last of them."""
        values, ids, edges = self._sorted(rows_end)
        kept = [
            (row, value, trace)
            for row, (start, end) in enumerate(pairwise(edges))
            for value, trace in _worst(values[start:end], ids[start:end])
        ]
        full = Counter(row for row, _, _ in kept)
        for row, value, trace in kept:
            if full[row] == EXEMPLARS:
                self._last[row], self._least[row] = trace, value
        self._rows = np.array([row for row, _, _ in kept], np.int64)
        self._values = np.array([value for _, value, _ in kept], np.int64)
        self._ids = [trace for _, _, trace in kept]


def _worst(values: Sequence[int], ids: Sequence[str]) -> list[tuple[int, str]]:
    return sorted(set(zip(values, ids, strict=True)), key=lambda call: (-call[0], call[1]))[:EXEMPLARS]
