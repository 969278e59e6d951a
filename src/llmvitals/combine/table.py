"""Adds up the calls of one view in one pane, for all series at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

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
_OTHERS: Final = top_k.KINDS[:-1]
_TOOL: Final = top_k.KINDS[-1:]
EARLY: Final = 5_000
"""With more contributors than this, a view has none but tools in its early entries, because sorting them for
every frame is too expensive. The pane's last entries have them."""
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
        self._others, self._tools = Sums(len(top_k.NO_SHARE)), Sums(len(top_k.NO_SHARE))
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
            self._others.add(rows, len(self.series), calls.contributors)
            self._others.add(rows, len(self.series), calls.errors)
            self._tools.add(rows, len(self.series), calls.tools)
        self._scores.add(rows, len(self.series), calls.scores)
        if self._cells and calls.cells:
            self._cells.add(rows, len(self.series), calls.cells)

    def add_embeddings(
        self, rows: Ints, kind: SpaceKind, featured: FeaturedVectors, traces: Sequence[str]
    ) -> None:
        """Add the vectors of some of n calls. rows (below 0: excluded), traces: of all n calls."""
        names = self._interner.vectors.codes.names
        self._embeddings.add(rows, kind, featured, names=names, traces=traces)

    def rows(self, most: int) -> tuple[Sequence[Series], Rows]:
        """The series and their vitals. most: contributors of a kind, 0 for none."""
        end = len(self.series)
        if not end:
            return (), NO_ROWS
        keys, counts, edges = self._bins.cut(np.arange(end + 1) << SHIFT)
        bins = BinRows(np.array(edges), keys.astype(np.uint16), counts[0])
        sums, maxima = (columns[:, :end].copy().T for columns in (self._sums, self._maxima))
        return self.series, Rows(sums, maxima, bins, self._details(most))

    def changed_rows(self, most: int) -> tuple[Sequence[Series], Rows]:
        """The series that calls were added to since the last call of this method, for early entries.

        Of their vitals they have what rules read of open panes: the sums and the tools; and as evidence the
        other contributors and the exemplars, as long as the view has at most EARLY contributors.
        """
        rows = np.flatnonzero(self._changed[: len(self.series)])
        self._changed[:] = False
        if not len(rows):
            return (), NO_ROWS
        sums, none = self._sums[:, rows].T, np.zeros((len(rows), len(MAXIMA)), np.int64)
        series = [self.series[row] for row in rows.tolist()]
        return series, Rows(sums, none, BinRows.empty(len(rows)), self._evidence(rows, most))

    def _details(self, most: int) -> dict[int, Details]:
        """What only some rows have, by row."""
        contributors, exemplars, scored = self._contributors(most), self._exemplars(), self._scored()
        cells = self._cells.by_row(len(self.series)) if self._cells else lambda _: None
        details: dict[int, Details] = {}
        for row in range(len(self.series)):
            found = Details(
                contributors(row), exemplars(row), scored(row), self._embeddings.of(row), cells(row)
            )
            if found:
                details[row] = found
        return details

    def _evidence(self, rows: Ints, most: int) -> dict[int, Details]:
        """Details of some rows for early entries, by their place among these rows."""
        many = self._has_many_contributors()
        contributors = self._shares(self._tools, _TOOL, most) if many else self._contributors(most)
        exemplars = _nothing if many else self._exemplars()
        every = {place: Details(contributors(row), exemplars(row)) for place, row in enumerate(rows.tolist())}
        return {place: details for place, details in every.items() if details}

    def _has_many_contributors(self) -> bool:
        """Whether there are more than EARLY contributors, over all series and kinds."""
        if len(self._others) > EARLY and not self._many_contributors:
            self._others.merge()
            self._many_contributors = len(self._others) > EARLY
        return self._many_contributors

    def _exemplars(self) -> Callable[[int], top_k.Exemplars]:
        """A function that returns a row's worst calls."""
        end = len(self.series)
        worst = {kind: candidates.by_row(end) for kind, candidates in self._worst_calls.items()}
        return lambda row: {kind: exemplars for kind, top in worst.items() if (exemplars := top(row))}

    def _contributors(self, most: int) -> Callable[[int], top_k.Contributors]:
        """A function that returns a row's heaviest contributors."""
        others = self._shares(self._others, _OTHERS, most)
        tools = self._shares(self._tools, _TOOL, most)
        return lambda row: others(row) | tools(row)

    def _shares(self, sums: Sums, kinds: Sequence[str], most: int) -> Callable[[int], top_k.Contributors]:
        """A function that returns a row's heaviest contributors in these sums. kinds: those in them."""
        if not most or not len(sums):
            return _nothing
        names = {top_k.KINDS.index(kind): self._interner.contributors[kind].names for kind in kinds}
        bounds = (np.arange(len(self.series) + 1)[:, None] << SHIFT) + (np.array([*names]) << KIND)
        labels, shares, edges = sums.cut(bounds.ravel())
        codes = labels & (1 << KIND) - 1
        few = len(codes) <= _FEW * len(self.series)
        listed: list[tuple[str, top_k.Share]] = []
        if few:
            every = (names[kind] for kind in (labels >> KIND).tolist())
            columns = zip(every, codes.tolist(), zip(*shares.tolist(), strict=True), strict=True)
            listed = [(of_kind[code], share) for of_kind, code, share in columns]

        def of(row: int) -> top_k.Contributors:
            first = row * len(kinds)
            inside = pairwise(edges[first : first + len(kinds) + 1])
            return {
                kind: dict(listed[low:high])
                if few and high - low <= most
                else _heaviest(codes[low:high], shares[:, low:high], names_of_kind, most)
                for kind, names_of_kind, (low, high) in zip(kinds, names.values(), inside, strict=True)
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


def _nothing(_: int) -> dict[str, Any]:
    """Of a row without contributors or exemplars."""
    return {}


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
