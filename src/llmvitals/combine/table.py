"""The series of one view in one pane, summed up side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.chunk import KIND, Chunk
from llmvitals.combine.embedded import Kind, Pictured
from llmvitals.combine.exemplars import WorstCalls
from llmvitals.combine.interner import Interner
from llmvitals.combine.meaning import Meanings
from llmvitals.combine.sums import SHIFT, Sums
from llmvitals.record.view import OTHER, View
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.counters import MAXIMA, SUM, SUMS

Ints = NDArray[np.int64]
Series = tuple[str, ...]

_MAXIMA: Final = tuple(SUM[name.removesuffix("_max")] for name in MAXIMA)
_WORST: Final = {"cost": SUM["cost_nano"], "latency": SUM["latency_us"]}


class Table:
    """Rows are series, in the order in which they were first met: at most `most`, then OTHER takes the rest.

    book: where the contributors' names are.
    """

    def __init__(self, view: View, most: int, book: Interner) -> None:
        self.view = view
        self.series: list[Series] = []
        self._rows: dict[Series, int] = {}
        self._most, self._book = most, book
        self._sums = np.zeros((len(SUMS), 0), np.int64)
        self._maxima = np.zeros((len(MAXIMA), 0), np.int64)
        self._changed = np.zeros(0, np.bool_)
        self._crowded = False
        self._bins = Sums(1)
        self._who = Sums(len(top_k.NO_SHARE))
        self._scores = Sums(len(scores.NO_SCORE))
        self._worst = {kind: WorstCalls() for kind in _WORST}
        self._meaning = Meanings()

    def row(self, series: Series) -> int:
        """The row of a series; a new one while there is room."""
        if series not in self._rows and len(self._rows) >= self._most:
            series = (OTHER,) * len(series)
        row = self._rows.setdefault(series, len(self.series))
        if row == len(self.series):
            self.series.append(series)
        return row

    def add(self, rows: Ints, chunk: Chunk) -> None:
        """Add each of the n calls of a chunk to its row (n; below 0: the view does not want it)."""
        if int(rows.min()) < 0:
            wanted = rows >= 0
            rows, chunk = rows[wanted], chunk.of(wanted)
        if not len(rows):
            return
        self._grow()
        for line in chunk.lines:
            np.add.at(self._sums[line], rows, chunk.vectors[line])
        for greatest, place in zip(self._maxima, _MAXIMA, strict=True):
            np.maximum.at(greatest, rows, chunk.vectors[place])
        self._changed[rows] = True
        for kind, worst in self._worst.items():
            worst.add(rows, chunk.vectors[_WORST[kind]], chunk.traces, len(self.series))
        self._bins.add(rows, len(self.series), chunk.bins)
        if self.view.contributors:
            self._who.add(rows, len(self.series), chunk.who)
            self._who.add(rows, len(self.series), chunk.tools)
        self._scores.add(rows, len(self.series), chunk.scores)

    def mean(self, rows: Ints, kind: Kind, pictured: Pictured, traces: Sequence[str]) -> None:
        """Add vectors of some of n calls; rows, traces: of all n (below 0: the view does not want it)."""
        names = self._book.vectors.codes.names
        self._meaning.add(rows, kind, pictured, names=names, traces=traces)

    def crowded(self, most: int) -> bool:
        """Whether there are more contributors than this, over all series and kinds."""
        if len(self._who) > most and not self._crowded:
            self._who.merge()
            self._crowded = len(self._who) > most
        return self._crowded

    def entries(self, most: int, *, changed: bool = False) -> Iterator[tuple[Series, bytes]]:
        """Series and packed vitals; most: contributors of a kind (0: none).

        changed: only those that were added to since this was last asked.
        """
        rows: list[int] = np.flatnonzero(self._changed).tolist() if changed else list(range(len(self.series)))
        self._changed[:] = False
        if not rows:
            return
        end = len(self.series)
        bins, counts, edges = self._bins.cut(np.arange(end + 1) << SHIFT)
        keys = bins.astype(np.uint16)
        worst = {kind: calls.by_row(end) for kind, calls in self._worst.items()}
        contributors = self._contributors(most) if most and self.view.contributors else lambda _: {}
        scored = self._scored()
        sums, maxima = (np.take(lines, rows, axis=1).T.tolist() for lines in (self._sums, self._maxima))
        for row, total, greatest in zip(rows, sums, maxima, strict=True):
            mine = slice(edges[row], edges[row + 1])
            vitals = Vitals(
                tuple(total),
                tuple(greatest),
                (keys[mine], counts[0, mine]),
                contributors(row),
                {kind: found for kind, top in worst.items() if (found := top(row))},
                scored(row),
                self._meaning.of(row),
            )
            yield self.series[row], vitals.pack()

    def _contributors(self, most: int) -> Callable[[int], top_k.Contributors]:
        """What gives a row's heaviest contributors."""
        kinds = np.arange(len(top_k.KINDS)) << KIND
        bounds = (np.arange(len(self.series) + 1)[:, None] << SHIFT) + kinds
        labels, shares, edges = self._who.cut(bounds.ravel())
        codes = labels & (1 << KIND) - 1

        def of(row: int) -> top_k.Contributors:
            first = row * len(top_k.KINDS)
            return {
                kind: _heaviest(codes[low:high], shares[:, low:high], self._book.who[kind].names, most)
                for kind, (low, high) in zip(
                    top_k.KINDS, pairwise(edges[first : first + len(top_k.KINDS) + 1]), strict=True
                )
                if low < high
            }

        return of

    def _scored(self) -> Callable[[int], scores.Scores]:
        """What gives a row's scores."""
        if not len(self._scores):
            return lambda _: {}
        codes, values, edges = self._scores.cut(np.arange(len(self.series) + 1) << SHIFT)
        names = self._book.scores.names

        def of(row: int) -> scores.Scores:
            mine = slice(edges[row], edges[row + 1])
            found = zip(codes[mine].tolist(), *values[:, mine].tolist(), strict=True)
            return scores.first({names[code]: tuple(said) for code, *said in found})

        return of

    def _grow(self) -> None:
        short = len(self.series) - len(self._changed)
        if short > 0:
            more = short + len(self.series)
            self._sums = np.hstack((self._sums, np.zeros((len(SUMS), more), np.int64)))
            self._maxima = np.hstack((self._maxima, np.zeros((len(MAXIMA), more), np.int64)))
            self._changed = np.hstack((self._changed, np.zeros(more, np.bool_)))


def _heaviest(codes: Ints, shares: Ints, names: list[str], most: int) -> dict[str, top_k.Share]:
    """The `most` heaviest, as heavy.heaviest has it; shares: those of a heavy.Share × n."""
    if len(codes) <= most:
        return _named(codes, shares, names)
    calls, cost, tokens, *_ = shares
    sure, tied, left = [], np.arange(len(codes)), most
    # Names are looked at only where numbers leave a tie.
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
