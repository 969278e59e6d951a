"""The vitals of many series as columns: a row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.details import Details, DetailsOfRow
from llmvitals.record.vitals import Vitals
from llmvitals.sketch.bin_rows import NO_BIN_ROWS, BinRows
from llmvitals.sketch.counters import MAXIMA, SUMS

Ints = NDArray[np.int64]

_WIDEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Rows:
    """The vitals of n series, without what `Vitals` does not pack.

    sums (n × SUMS): int64, or Python integers (dtype object) where they could exceed it. maxima (n × MAXIMA).
    details: row → what only some rows have.

    Law: `summed` is `vitals.merged` of the rows of each group.
    """

    sums: Ints
    maxima: Ints
    bins: BinRows
    details: Mapping[int, DetailsOfRow]

    @classmethod
    def of(cls, every: Sequence[Vitals]) -> Rows:
        """Make a row of each of these."""
        if not every:
            return NO_ROWS
        details = {row: found for row, vitals in enumerate(every) if (found := _details(vitals))}
        return cls(
            _integers([vitals.sums for vitals in every]),
            _integers([vitals.maxima for vitals in every]),
            BinRows.of([vitals.bins for vitals in every]),
            details,
        )

    @classmethod
    def concatenated(cls, parts: Sequence[Rows]) -> Rows:
        """All rows, one part after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        details, first = dict[int, DetailsOfRow](), 0
        for part in parts:
            details |= {first + row: found for row, found in part.details.items()}
            first += len(part)
        return cls(
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.maxima for part in parts]),
            BinRows.concatenated([part.bins for part in parts]),
            details,
        )

    def __len__(self) -> int:
        return len(self.sums)

    def part(self, start: int, end: int) -> Rows:
        """The rows from start up to end."""
        known = self.details
        details = {row - start: known[row] for row in range(start, end) if row in known} if known else {}
        return Rows(self.sums[start:end], self.maxima[start:end], self.bins.part(start, end), details)

    def take(self, rows: Ints) -> Rows:
        """Some rows, in this order."""
        details: dict[int, DetailsOfRow] = {}
        if self.details:
            known = self.details
            details = {n: known[row] for n, row in enumerate(rows.tolist()) if row in known}
        return Rows(self.sums[rows], self.maxima[rows], self.bins.take(rows), details)

    def summed(self, order: Ints, starts: Ints) -> Rows:
        """One row for each group. order: the rows, sorted by group. starts: where groups begin in it."""
        sizes = np.empty(len(starts), np.int64)
        sizes[:-1], sizes[-1:] = starts[1:] - starts[:-1], len(order) - starts[-1:]
        groups = np.empty(len(order), np.int64)
        groups[order] = np.repeat(np.arange(len(starts)), sizes)
        return Rows(
            _added(self.sums[order], starts, int(sizes.max(initial=0))),
            np.maximum.reduceat(self.maxima[order], starts, axis=0) if len(starts) else self.maxima,
            self.bins.summed(groups, len(starts)),
            _grouped(self.details, groups) if self.details else {},
        )

    def vitals(self) -> Iterator[Vitals]:
        """The vitals of each row."""
        columns = zip(self.sums.tolist(), self.maxima.tolist(), self.bins.rows(), strict=True)
        for row, (sums, maxima, bins) in enumerate(columns):
            if row not in self.details:
                yield Vitals(tuple(sums), tuple(maxima), bins)
                continue
            found = Details.unpack(self.details[row])
            yield Vitals(
                tuple(sums), tuple(maxima), bins,
                found.contributors, found.exemplars, found.scores, found.meaning, cells=found.cells,
            )  # fmt: skip


def _details(vitals: Vitals) -> Details:
    return Details(vitals.contributors, vitals.exemplars, vitals.scores, vitals.meaning, vitals.cells)


def _grouped(details: Mapping[int, DetailsOfRow], groups: Ints) -> dict[int, DetailsOfRow]:
    """The details of each group, apart: they are merged when they are read, as few of them are."""
    parts: dict[int, list[Details | bytes]] = {}
    of_rows = groups[np.fromiter(details, np.int64, len(details))].tolist()
    for group, found in zip(of_rows, details.values(), strict=True):
        parts.setdefault(group, []).extend(found if isinstance(found, tuple) else (found,))
    return {group: found[0] if len(found) == 1 else tuple(found) for group, found in parts.items()}


def _integers(rows: Sequence[tuple[int, ...]]) -> Ints:
    """A matrix: of Python integers where one does not fit into 64 bits."""
    try:
        return np.array(rows, np.int64)
    except OverflowError:
        return np.array(rows, object)


def _added(sums: Ints, starts: Ints, most: int) -> Ints:
    """Add the rows of each group. most: the size of the greatest group."""
    if not len(starts) or most == 1:
        return sums
    if sums.dtype != object and max(int(sums.max()), -int(sums.min())) * most >= _WIDEST:
        sums = sums.astype(object)
    added: Ints = np.add.reduceat(sums, starts, axis=0)
    return added


NO_ROWS: Final = Rows(
    np.zeros((0, len(SUMS)), np.int64), np.zeros((0, len(MAXIMA)), np.int64), NO_BIN_ROWS, {}
)
