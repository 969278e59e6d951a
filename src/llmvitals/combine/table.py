"""Adds up the calls of one view in one pane, for all series at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.cells import CellSums
from llmvitals.combine.contributors import heaviest
from llmvitals.combine.embedding_sums import EmbeddingSums
from llmvitals.combine.embeddings import FeaturedVectors, SpaceKind
from llmvitals.combine.exemplars import WorstCalls
from llmvitals.combine.interner import Interner
from llmvitals.combine.prepared import PreparedCalls
from llmvitals.combine.series_codes import SeriesCodes
from llmvitals.combine.sparse_sums import SHIFT, Sums
from llmvitals.record.details import Details, DetailsOfRow
from llmvitals.record.rows import NO_ROWS, Rows
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.bin_rows import BinRows
from llmvitals.sketch.counters import MAXIMA, SUM, SUMS
from llmvitals.sketch.moments import Meaning

Ints = NDArray[np.int64]

_MAXIMA: Final = tuple(SUM[name.removesuffix("_max")] for name in MAXIMA)
_OTHERS: Final = top_k.KINDS[:-1]
_TOOL: Final = top_k.KINDS[-1:]
EARLY: Final = 5_000
"""With more contributors than this, a view has none but tools in its early entries, because sorting them for
every frame is too expensive. The pane's last entries have them."""
_WORST: Final = {"cost": SUM["cost_nano"], "latency": SUM["latency_us"]}


class Table:
    """One row for each series, in the order in which they first appear.

    codes: of the series of each row. limit: the number of series; further ones are counted in OTHER.
    interner: has the contributors' names. packed: whether details are packed, for messages.
    """

    def __init__(self, series: SeriesCodes, limit: int, interner: Interner, *, packed: bool) -> None:
        self.series, self.view = series, series.view
        self.codes: Ints = np.empty(0, np.int64)
        self._limit, self._interner, self._packed = limit, interner, packed
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._maxima = np.zeros((len(MAXIMA), 0), np.int64)
        self._changed = np.zeros(0, np.bool_)
        self._many_contributors = False
        self._bins = Sums(1)
        self._others, self._tools = Sums(len(top_k.NO_SHARE)), Sums(len(top_k.NO_SHARE))
        self._scores = Sums(len(scores.NO_SCORE))
        self._worst_calls = {kind: WorstCalls() for kind in _WORST if self.view.exemplars}
        self._embeddings = EmbeddingSums()
        self._cells = CellSums(interner.scores.names) if self.view.split else None

    def rows_of(self, codes: Ints) -> Ints:
        """The row of each call, below 0 where the view excludes it. codes: of their series.

        A new series gets a new row, in the order of the calls, or OTHER's once the limit is reached.
        """
        rows = np.full(len(self.series.names) + 2, -1)  # by code; the last one is that of EXCLUDED
        rows[self.codes] = np.arange(len(self.codes))
        new = codes[(rows[codes] < 0) & (codes >= 0)]
        if not len(new):
            return rows[codes]
        places = np.arange(len(new))
        rows[new[::-1]] = places[::-1]  # of a code that comes again the first place stays
        new = new[rows[new] == places]
        room = max(self._limit - len(self.codes), 0)
        kept, beyond = new[:room], new[room:]
        other = self.series.other() if len(beyond) else 0
        if len(beyond) and other not in self.codes:
            kept = np.append(kept, other)
        self.codes = np.concatenate((self.codes, kept))
        rows[self.codes] = np.arange(len(self.codes))
        rows[beyond] = rows[other]
        return rows[codes]

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
            worst.add(rows, calls.vectors[_WORST[kind]], calls.traces, len(self.codes))
        self._bins.add(rows, len(self.codes), calls.bins)
        if self.view.contributors:
            self._others.add(rows, len(self.codes), calls.contributors)
            self._others.add(rows, len(self.codes), calls.errors)
            self._tools.add(rows, len(self.codes), calls.tools)
        self._scores.add(rows, len(self.codes), calls.scores)
        if self._cells and calls.cells:
            self._cells.add(rows, len(self.codes), calls.cells)

    def add_embeddings(
        self, rows: Ints, kind: SpaceKind, featured: FeaturedVectors, traces: Sequence[str]
    ) -> None:
        """Add the vectors of some of n calls. rows (below 0: excluded), traces: of all n calls."""
        names = self._interner.vectors.codes.names
        self._embeddings.add(rows, kind, featured, names=names, traces=traces)

    def rows(self, most: int) -> tuple[Ints, Rows]:
        """The codes of the series, and their vitals. most: contributors of a kind; see READ_TOOLS."""
        end = len(self.codes)
        if not end:
            return self.codes, NO_ROWS
        keys, counts, edges = self._bins.cut(np.arange(end + 1) << SHIFT)
        bins = BinRows(np.array(edges), keys.astype(np.uint16), counts[0])
        sums, maxima = (columns[:, :end].copy().T for columns in (self._sums, self._maxima))
        return self.codes, Rows(sums, maxima, bins, self._details(most))

    def changed_rows(self, most: int) -> tuple[Ints, Rows]:
        """The codes of the series that calls were added to since the last call, for early entries.

        Of their vitals they have what rules read of open panes: the sums and the tools; and as evidence the
        other contributors and the exemplars, as long as the view has at most EARLY contributors.
        """
        rows = np.flatnonzero(self._changed[: len(self.codes)])
        self._changed[:] = False
        if not len(rows):
            return rows, NO_ROWS
        sums, none = self._sums[:, rows].T, np.zeros((len(rows), len(MAXIMA)), np.int64)
        return self.codes[rows], Rows(sums, none, BinRows.empty(len(rows)), self._evidence(rows, most))

    def _details(self, most: int) -> dict[int, DetailsOfRow]:
        """What only some rows have, by row."""
        sources: tuple[Sized, ...] = (self._others, self._tools, self._scores, self._embeddings)
        if not any(map(len, sources)) and not self._worst_calls and self._cells is None:
            return {}
        end = len(self.codes)
        exemplars, scored, meaning = self._exemplars(), self._scored(), self._meaning()
        cells = self._cells.by_row(end) if self._cells else None
        return self._by_place(
            Details(contributors, exemplars(row), scored(row), meaning(row), cells(row) if cells else None)
            for row, contributors in enumerate(self._contributors(np.arange(end), most))
        )

    def _evidence(self, rows: Ints, most: int) -> dict[int, DetailsOfRow]:
        """Details of some rows for early entries, by their place among these rows."""
        many = self._has_many_contributors()
        if many and not len(self._tools):
            return {}
        contributors = self._tools_of(rows, most) if many else self._contributors(rows, most)
        exemplars = _nothing if many else self._exemplars()
        return self._by_place(
            Details(found, exemplars(row)) for row, found in zip(rows.tolist(), contributors, strict=True)
        )

    def _by_place(self, every: Iterable[Details]) -> dict[int, DetailsOfRow]:
        """The details that are not empty, by place. They are packed at once, while they are in the cache."""
        return {
            place: details.pack() if self._packed else details
            for place, details in enumerate(every)
            if details
        }

    def _has_many_contributors(self) -> bool:
        """Whether there are more than EARLY contributors, over all series and kinds."""
        if len(self._others) > EARLY and not self._many_contributors:
            self._others.merge()
            self._many_contributors = len(self._others) > EARLY
        return self._many_contributors

    def _exemplars(self) -> Callable[[int], top_k.Exemplars]:
        """A function that returns a row's worst calls."""
        if not self._worst_calls:
            return _nothing
        end = len(self.codes)
        worst = {kind: candidates.by_row(end) for kind, candidates in self._worst_calls.items()}
        return lambda row: {kind: exemplars for kind, top in worst.items() if (exemplars := top(row))}

    def _contributors(self, rows: Ints, most: int) -> Iterator[top_k.Contributors]:
        """The heaviest contributors of these rows."""
        others = heaviest(self._others, rows, self._names(_OTHERS), most)
        if not len(self._tools):
            return others
        tools = self._tools_of(rows, most)
        return (found | some for found, some in zip(others, tools, strict=True))

    def _tools_of(self, rows: Ints, most: int) -> Iterator[top_k.Contributors]:
        return heaviest(self._tools, rows, self._names(_TOOL), max(most, top_k.READ_TOOLS))

    def _names(self, kinds: Sequence[str]) -> dict[str, list[str]]:
        names = self._interner.contributors
        return {kind: names[kind].names for kind in kinds if kind in names}

    def _meaning(self) -> Callable[[int], Meaning]:
        """A function that returns a row's moments."""
        return self._embeddings.of if len(self._embeddings) else _nothing

    def _scored(self) -> Callable[[int], scores.Scores]:
        """A function that returns a row's scores."""
        if not len(self._scores):
            return _nothing
        codes, values, edges = self._scores.cut(np.arange(len(self.codes) + 1) << SHIFT)
        names = self._interner.scores.names

        def of(row: int) -> scores.Scores:
            inside = slice(edges[row], edges[row + 1])
            columns = zip(codes[inside].tolist(), *values[:, inside].tolist(), strict=True)
            return scores.first({names[code]: tuple(sums) for code, *sums in columns})

        return of

    def _grow(self) -> None:
        missing = len(self.codes) - len(self._changed)
        if missing > 0:
            added = missing + len(self.codes)
            self._sums = np.hstack((self._sums, np.zeros((len(SUMS), added), np.int64)))
            self._maxima = np.hstack((self._maxima, np.zeros((len(MAXIMA), added), np.int64)))
            self._changed = np.hstack((self._changed, np.zeros(added, np.bool_)))


def _nothing(_: int) -> dict[str, Any]:
    """Of a row in a table without exemplars, scores or embeddings."""
    return {}
