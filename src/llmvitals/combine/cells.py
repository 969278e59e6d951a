"""Adds up the cells of arms (see sketch.cells): finds the cell of each call, and sums by series and cell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.interner import PROFILE, CodedCalls, Interner
from llmvitals.combine.sparse_sums import SHIFT, SparseValues, Sums
from llmvitals.sketch import top_k
from llmvitals.sketch.cells import CELLS, COLUMNS, FIRST_BIN, TIMES, Cells, Sparse, cell_of, cells_of
from llmvitals.sketch.counters import SUM
from llmvitals.sketch.quantiles import STRIDE
from llmvitals.sketch.scores import MOST

Ints = NDArray[np.int64]

_USER: Final = PROFILE + 1 + top_k.KINDS.index("user")
_SESSION: Final = PROFILE + 1 + top_k.KINDS.index("session")
_NAMED: Final = ((_USER, "user"), (_SESSION, "session"))
_SUMS: Final = [SUM.get(name) for name in COLUMNS]
_CELLS: Final = np.arange(CELLS)
_BINS: Final = np.arange(len(TIMES) * STRIDE * CELLS)


class CellValues(NamedTuple):
    """What calls add to cells: sums by cell, times by bin and cell, scores by name and cell."""

    sums: SparseValues
    times: SparseValues
    scores: SparseValues

    def only(self, wanted: NDArray[np.bool_]) -> CellValues:
        """Only the values of the wanted calls."""
        return CellValues(self.sums.only(wanted), self.times.only(wanted), self.scores.only(wanted))


def cell_values(
    coded: CodedCalls, interner: Interner, *, bins: SparseValues, scores: SparseValues
) -> CellValues:
    """Find the cells of calls. bins: of their sketches, in the order of keys. scores: see sketch.scores."""
    cells = _cells(coded, interner)
    end = int(np.searchsorted(bins.codes, len(TIMES) * STRIDE))
    places = bins.places[:end]
    ones = np.ones((1, len(cells)), np.int64)
    names = len(interner.scores.names)
    return CellValues(
        SparseValues.of(np.arange(len(cells)), cells, _CELLS, _columns(coded.matrix)),
        SparseValues.of(places, bins.codes[:end] * CELLS + cells[places], _BINS, ones),
        _by_cell(scores, cells, names) if len(scores.places) else scores,
    )


def _cells(coded: CodedCalls, interner: Interner) -> Ints:
    """The cell of each call (see sketch.cells)."""
    users, sessions = (_alone(coded.matrix[row], interner, kind) for row, kind in _NAMED)
    unnamed = np.flatnonzero((users < 0) & (sessions < 0))
    users[unnamed] = [cell_of(coded.traces[place]) for place in unnamed.tolist()]
    return cells_of(np.where(users < 0, sessions, users), np.where(sessions < 0, users, sessions))


def _alone(codes: Ints, interner: Interner, kind: str) -> Ints:
    """The cell of each call by its name of a kind alone; -1: it has none."""
    cells = np.full(len(codes), -1)
    named = codes >= 0
    cells[named] = interner.cells(kind)[codes[named]]
    return cells


def _columns(matrix: Ints) -> Ints:
    """What each call adds to COLUMNS."""
    values = np.empty((len(COLUMNS), matrix.shape[1]), np.int64)
    calls, user, session = matrix[SUM["calls"]], matrix[_USER] >= 0, matrix[_SESSION] >= 0
    own = {
        "paid_calls": matrix[SUM["priced_calls"]] - matrix[SUM["free_calls"]],
        "user_calls": calls * (user & ~session),
        "session_calls": calls * (session & ~user),
        "user_session_calls": calls * (user & session),
    }
    for row, (name, place) in enumerate(zip(COLUMNS, _SUMS, strict=True)):
        values[row] = own[name] if place is None else matrix[place]
    return values


def _by_cell(scores: SparseValues, cells: Ints, names: int) -> SparseValues:
    codes = scores.codes * CELLS + cells[scores.places]
    order = np.argsort(codes, kind="stable")
    labels = np.arange(names * CELLS)
    return SparseValues(scores.places[order], codes[order], scores.values[:2, order], labels)


class CellSums:
    """The sums of cells by series. names: of the scores' codes.

    Law: sums of integers, so neither the order of `add` nor its grouping changes what is read.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._sums, self._times, self._scores = Sums(len(COLUMNS)), Sums(1), Sums(2)

    def add(self, rows: Ints, rows_end: int, values: CellValues) -> None:
        """Add values. rows: the row of each call, below rows_end."""
        self._sums.add(rows, rows_end, values.sums)
        self._times.add(rows, rows_end, values.times)
        self._scores.add(rows, rows_end, values.scores)

    def by_row(self, rows_end: int) -> Callable[[int], Cells | None]:
        """A function that returns the cells of a row; None if it has none."""
        bounds = np.arange(rows_end + 1) << SHIFT
        cells, sums, edges = self._sums.cut(bounds)
        bins, counts, bin_edges = self._times.cut(bounds)
        codes, scored, score_edges = self._scores.cut(bounds)
        spans, bin_spans, score_spans = (
            [slice(*span) for span in pairwise(each)] for each in (edges, bin_edges, score_edges)
        )

        def of(row: int) -> Cells | None:
            table = sums[:, spans[row]]
            columns, places = np.nonzero(table)
            keys = columns * CELLS + cells[spans[row]][places]
            bin_keys = bins[bin_spans[row]] + FIRST_BIN * CELLS
            scores = self._of_scores(codes[score_spans[row]], scored[:, score_spans[row]])
            if not (len(keys) or len(bin_keys) or scores):
                return None
            values = np.concatenate((table[columns, places], counts[0, bin_spans[row]]))
            return Cells((np.concatenate((keys, bin_keys)).astype(np.uint32), values), scores)

        return of

    def _of_scores(self, codes: Ints, scored: Ints) -> dict[str, Sparse]:
        names = {self._names[code]: code for code in dict.fromkeys((codes // CELLS).tolist())}
        found = {}
        for name in sorted(names)[:MOST]:
            inside = codes // CELLS == names[name]
            cells = codes[inside] % CELLS
            found[name] = (
                np.concatenate((cells, cells + CELLS)).astype(np.uint32),
                scored[:, inside].ravel(),
            )
        return found
