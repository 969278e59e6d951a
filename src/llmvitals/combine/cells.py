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
from llmvitals.sketch.runs import run_starts
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
        columns, places = np.nonzero(sums)
        keys = np.concatenate((columns * CELLS + cells[places], bins + FIRST_BIN * CELLS)).astype(np.uint32)
        values = np.concatenate((sums[columns, places], counts[0]))
        owners = np.concatenate((_rows(edges)[places], _rows(bin_edges)))
        order = np.argsort(owners, kind="stable")  # within a row by key, the times last
        keys, values = keys[order], values[order]
        ends = np.searchsorted(owners[order], np.arange(rows_end + 1)).tolist()
        scores = self._scores_by_row(bounds)

        def of(row: int) -> Cells | None:
            inside, scored = slice(ends[row], ends[row + 1]), scores.get(row, {})
            if inside.start == inside.stop and not scored:
                return None
            return Cells((keys[inside], values[inside]), scored)

        return of

    def _scores_by_row(self, bounds: Ints) -> dict[int, dict[str, Sparse]]:
        """Row → name → cells; of the MOST first names."""
        codes, values, edges = self._scores.cut(bounds)
        names, cells = np.divmod(codes, CELLS)
        rows, found = _rows(edges), dict[int, dict[str, Sparse]]()
        cells, starts = cells.astype(np.uint32), run_starts(rows, names)
        columns = zip(rows[starts].tolist(), names[starts].tolist(), strict=True)
        spans = pairwise([*starts.tolist(), len(codes)])
        for (row, name), (start, end) in zip(columns, spans, strict=True):
            own = cells[start:end]
            counted = np.concatenate((own, own + np.uint32(CELLS))), values[:, start:end].ravel()
            found.setdefault(row, {})[self._names[name]] = counted
        return {row: {name: scored[name] for name in sorted(scored)[:MOST]} for row, scored in found.items()}


def _rows(edges: list[int]) -> Ints:
    """The row of each entry; edges: where each row begins, and the end."""
    return np.repeat(np.arange(len(edges) - 1), np.diff(edges))
