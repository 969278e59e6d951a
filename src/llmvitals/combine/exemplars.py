"""The worst calls of each series: the greatest values, and the least trace id among equals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.names import clean
from llmvitals.sketch.top_k import EXEMPLARS

Ints = NDArray[np.int64]
Calls = tuple[tuple[int, str], ...]

_SPARE: Final = 1_000


class WorstCalls:
    """For each row the EXEMPLARS greatest of (value, trace id); a value of 0 is no exemplar.

    Candidates wait in a pool, which is thinned out when it has grown.

    Law: a union cut to the greatest, so neither order nor grouping of `add` changes what is read.
    """

    def __init__(self) -> None:
        self._rows = self._values = np.empty(0, np.int64)
        self._ids: list[str] = []
        self._least = np.empty(0, np.int64)
        """For each row the value below which nothing is a candidate."""
        self._last: dict[int, str] = {}
        """For rows with many equal calls: at that value, only lesser ids are candidates."""

    def add(self, rows: Ints, values: Ints, ids: Sequence[str], rows_end: int) -> None:
        """Look at values (n) of rows (n, in 0 … rows_end − 1); ids: a trace id for each."""
        more = rows_end - len(self._least)
        if more > 0:
            self._least = np.hstack((self._least, np.ones(more + rows_end, np.int64)))
        at = np.flatnonzero(values >= self._least[rows])
        if self._last:
            tied = np.flatnonzero(values[at] == self._least[rows[at]])
            calls = zip(tied.tolist(), rows[at[tied]].tolist(), at[tied].tolist(), strict=True)
            last = self._last
            at = np.delete(at, [i for i, row, place in calls if row in last and ids[place] >= last[row]])
        self._rows = np.concatenate((self._rows, rows[at]))
        self._values = np.concatenate((self._values, values[at]))
        self._ids += [ids[place] for place in at.tolist()]
        enough = 2 * EXEMPLARS * rows_end + _SPARE
        if len(self._ids) > enough:
            self._thin_out()
        if len(self._ids) > enough:
            self._settle_ties(rows_end)

    def by_row(self, rows_end: int) -> Callable[[int], Calls]:
        """What gives a row's calls (value, trace id), the greatest first."""
        top = self._by_row(rows_end)
        return lambda row: tuple([(-value, clean(trace)) for value, trace in top(row)])

    def _by_row(self, rows_end: int) -> Callable[[int], list[tuple[int, str]]]:
        self._thin_out()
        order = np.argsort(self._rows, kind="stable")
        edges = np.searchsorted(self._rows[order], np.arange(rows_end + 1)).tolist()
        values = (-self._values[order]).tolist()
        ids = [self._ids[place] for place in order.tolist()]

        def top(row: int) -> list[tuple[int, str]]:
            mine = slice(edges[row], edges[row + 1])
            return sorted(set(zip(values[mine], ids[mine], strict=True)))[:EXEMPLARS]

        return top

    def _thin_out(self) -> None:
        """Keep what reaches its row's third greatest distinct value."""
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

    def _settle_ties(self, rows_end: int) -> None:
        """Keep the greatest only, and remember the last of them."""
        top = self._by_row(rows_end)
        kept = [(row, -value, trace) for row in range(rows_end) for value, trace in top(row)]
        full = Counter(row for row, _, _ in kept)
        for row, value, trace in kept:
            if full[row] == EXEMPLARS:
                self._last[row], self._least[row] = trace, value
        self._rows = np.array([row for row, _, _ in kept], np.int64)
        self._values = np.array([value for _, value, _ in kept], np.int64)
        self._ids = [trace for _, _, trace in kept]
