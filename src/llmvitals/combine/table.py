"""Adds up the calls of one view in one pane, for all series at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.cells import CellSums
from llmvitals.combine.embedding_sums import EmbeddingSums
from llmvitals.combine.embeddings import FeaturedVectors, SpaceKind
from llmvitals.combine.exemplars import WorstCalls
from llmvitals.combine.interner import Interner
from llmvitals.combine.prepared import KIND, PreparedCalls
from llmvitals.combine.sparse_sums import SHIFT, Sums
from llmvitals.record.details import Details
from llmvitals.record.rows import NO_ROWS, Rows
from llmvitals.record.view import OTHER, View
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.bin_rows import BinRows
from llmvitals.sketch.counters import MAXIMA, SUM, SUMS

Ints = NDArray[np.int64]
Series = tuple[str, ...]

_MAXIMA: Final = tuple(SUM[name.removesuffix("_max")] for name in MAXIMA)
_FEW: Final = 32
"""With fewer contributors than this in a row, it is cheaper to make objects of all of them at once."""
_WORST: Final = {"cost": SUM["cost_nano"], "latency": SUM["latency_us"]}


class Table:
    """One row for each series, in the order in which they first appear.

    limit: the number of series; further ones are counted in OTHER. interner: has the contributors' names.
    """

    def __init__(self, view: View, limit: int, interner: Interner) -> None:
        self.view = view
        self.series: list[Series] = []
        self._rows: dict[Series, int] = {}
        self._limit, self._interner = limit, interner
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._maxima = np.zeros((len(MAXIMA), 0), np.int64)
        self._changed = np.zeros(0, np.bool_)
        self._many_contributors = False
        self._bins = Sums(1)
        self._contributor_sums = Sums(len(top_k.NO_SHARE))
        self._scores = Sums(len(scores.NO_SCORE))
        self._worst_calls = {kind: WorstCalls() for kind in _WORST if view.exemplars}
        self._embeddings = EmbeddingSums()
        self._cells = CellSums(interner.scores.names) if view.split else None

    def row(self, series: Series) -> int:
        """The row of a series. A new series gets a new row, or OTHER's once the limit is reached."""
        if series not in self._rows and len(self._rows) >= self._limit:
            series = (OTHER,) * len(series)
        row = self._rows.setdefault(series, len(self.series))
        if row == len(self.series):
            self.series.append(series)
        return row

    def add(self, rows: Ints, calls: PreparedCalls) -> None:
        """Add n calls. rows: the row of each call, below 0 where the view excludes it."""
        if int(rows.min()) < 0:
            wanted = rows >= 0
            rows, calls = rows[wanted], calls.only(wanted)
        if not len(rows):
            return
        self._grow()
        for place in calls.used_sums:
            np.add.at(self._sums[place], rows, calls.vectors[place])
        for maxima, place in zip(self._maxima, _MAXIMA, strict=True):
            np.maximum.at(maxima, rows, calls.vectors[place])
        self._changed[rows] = True
        for kind, worst in self._worst_calls.items():
            worst.add(rows, calls.vectors[_WORST[kind]], calls.traces, len(self.series))
        self._bins.add(rows, len(self.series), calls.bins)
        if self.view.contributors:
            self._contributor_sums.add(rows, len(self.series), calls.contributors)
            self._contributor_sums.add(rows, len(self.series), calls.errors)
            self._contributor_sums.add(rows, len(self.series), calls.tools)
        self._scores.add(rows, len(self.series), calls.scores)
        if self._cells and calls.cells:
            self._cells.add(rows, len(self.series), calls.cells)

    def add_embeddings(
        self, rows: Ints, kind: SpaceKind, featured: FeaturedVectors, traces: Sequence[str]
    ) -> None:
        """Add the vectors of some of n calls. rows (below 0: excluded), traces: of all n calls."""
        names = self._interner.vectors.codes.names
        self._embeddings.add(rows, kind, featured, names=names, traces=traces)

    def has_many_contributors(self, most: int) -> bool:
        """Whether there are more contributors than this, over all series and kinds."""
        if len(self._contributor_sums) > most and not self._many_contributors:
            self._contributor_sums.merge()
            self._many_contributors = len(self._contributor_sums) > most
        return self._many_contributors

    def rows(self, most: int, *, changed: bool = False) -> tuple[Sequence[Series], Rows]:
        """The series and their vitals.

        most: contributors of a kind, 0 for none. changed: only series that calls were added to since the last
        call of this method.
        """
        end = len(self.series)
        rows = np.flatnonzero(self._changed[:end]) if changed else np.arange(end)
        self._changed[:] = False
        if not len(rows):
            return (), NO_ROWS
        keys, counts, edges = self._bins.cut(np.arange(end + 1) << SHIFT)
        bins = BinRows(np.array(edges), keys.astype(np.uint16), counts[0])
        sums, maxima = (np.take(columns, rows, axis=1).T for columns in (self._sums, self._maxima))
        if len(rows) == end:
            return self.series, Rows(sums, maxima, bins, self._details(rows, most))
        series = [self.series[row] for row in rows.tolist()]
        return series, Rows(sums, maxima, bins.take(rows), self._details(rows, most))

    def _details(self, rows: Ints, most: int) -> dict[int, Details]:
        """What only some rows have, by their place among these rows."""
        end = len(self.series)
        worst = {kind: candidates.by_row(end) for kind, candidates in self._worst_calls.items()}
        contributors = self._contributors(most) if most and self.view.contributors else lambda _: {}
        scored = self._scored()
        cells = self._cells.by_row(end) if self._cells else lambda _: None
        details: dict[int, Details] = {}
        for place, row in enumerate(rows.tolist()):
            found = Details(
                contributors(row),
                {kind: exemplars for kind, top in worst.items() if (exemplars := top(row))},
                scored(row),
                self._embeddings.of(row),
                cells(row),
            )
            if found:
                details[place] = found
        return details

    def _contributors(self, most: int) -> Callable[[int], top_k.Contributors]:
        """A function that returns a row's heaviest contributors."""
        kinds = np.arange(len(top_k.KINDS)) << KIND
        bounds = (np.arange(len(self.series) + 1)[:, None] << SHIFT) + kinds
        labels, shares, edges = self._contributor_sums.cut(bounds.ravel())
        codes = labels & (1 << KIND) - 1
        names = [(kind, self._interner.contributors[kind].names) for kind in top_k.KINDS]
        few = len(codes) <= _FEW * len(self.series)
        listed: list[tuple[str, top_k.Share]] = []
        if few:
            every = (names[kind][1] for kind in (labels >> KIND).tolist())
            columns = zip(every, codes.tolist(), zip(*shares.tolist(), strict=True), strict=True)
            listed = [(of_kind[code], share) for of_kind, code, share in columns]

        def of(row: int) -> top_k.Contributors:
            first = row * len(names)
            inside = edges[first : first + len(names) + 1]
            return {
                kind: dict(listed[low:high])
                if few and high - low <= most
                else _heaviest(codes[low:high], shares[:, low:high], names_of_kind, most)
                for (kind, names_of_kind), (low, high) in zip(names, pairwise(inside), strict=True)
                if low < high
            }

        return of

    def _scored(self) -> Callable[[int], scores.Scores]:
        """A function that returns a row's scores."""
        if not len(self._scores):
            return lambda _: {}
        codes, values, edges = self._scores.cut(np.arange(len(self.series) + 1) << SHIFT)
        names = self._interner.scores.names

        def of(row: int) -> scores.Scores:
            inside = slice(edges[row], edges[row + 1])
            columns = zip(codes[inside].tolist(), *values[:, inside].tolist(), strict=True)
            return scores.first({names[code]: tuple(sums) for code, *sums in columns})

        return of

    def _grow(self) -> None:
        missing = len(self.series) - len(self._changed)
        if missing > 0:
            added = missing + len(self.series)
            self._sums = np.hstack((self._sums, np.zeros((len(SUMS), added), np.int64)))
            self._maxima = np.hstack((self._maxima, np.zeros((len(MAXIMA), added), np.int64)))
            self._changed = np.hstack((self._changed, np.zeros(added, np.bool_)))


def _heaviest(codes: Ints, shares: Ints, names: list[str], most: int) -> dict[str, top_k.Share]:
    """Select the `most` heaviest, as top_k.heaviest does. shares (fields of top_k.Share × n)."""
    if len(codes) <= most:
        return _named(codes, shares, names)
    calls, cost, tokens, *_ = shares
    sure, tied, left = [], np.arange(len(codes)), most
    # Names are compared only where cost, tokens and calls are all equal.
    for column in (cost, tokens, calls):
        values = column[tied]
        bound = np.partition(values, len(values) - left)[len(values) - left]
        sure.append(tied[values > bound])
        tied, left = tied[values == bound], left - len(sure[-1])
        if len(tied) <= left:
            return _named(codes[(places := np.concatenate([*sure, tied]))], shares[:, places], names)
    places = np.concatenate([*sure, tied])
    return dict(top_k.heaviest(_named(codes[places], shares[:, places], names), most))


def _named(codes: Ints, shares: Ints, names: list[str]) -> dict[str, top_k.Share]:
    return dict(
        zip([names[code] for code in codes.tolist()], zip(*shares.tolist(), strict=True), strict=True)
    )
