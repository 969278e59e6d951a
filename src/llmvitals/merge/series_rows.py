"""Vitals of series in panes or windows as columns, and the open panes of a view among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.rows import Rows
from llmvitals.sketch.runs import run_starts
from llmvitals.window import FOREVER

Ints = NDArray[np.int64]

_FEW: Final = 1_024
"""Rows with a newer version are not looked for before there are more rows than this …"""
_MANY: Final = 256
"""… or more parts than this."""


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """n rows.

    series: the number of the series of each (see SeriesTable). starts: its pane, or its window in µs.
    """

    series: Ints
    starts: Ints
    rows: Rows

    def __len__(self) -> int:
        return len(self.series)

    def part(self, start: int, end: int) -> SeriesRows:
        """The rows from start up to end."""
        if (start, end) == (0, len(self)):
            return self
        return SeriesRows(self.series[start:end], self.starts[start:end], self.rows.part(start, end))

    def take(self, places: Ints) -> SeriesRows:
        """Some rows, in this order."""
        return SeriesRows(self.series[places], self.starts[places], self.rows.take(places))

    @classmethod
    def concatenated(cls, parts: Sequence[SeriesRows]) -> SeriesRows:
        """All rows, one part after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.starts for part in parts]),
            Rows.concatenated([part.rows for part in parts]),
        )

    def summed(self, order: Ints | None = None) -> SeriesRows:
        """One row for each start and series, ascending.

        order: the places of all rows by start and series, if known.
        """
        if len(self) == 1:
            return self
        if order is None:
            order = np.lexsort((self.series, self.starts))
        series, starts = self.series[order], self.starts[order]
        first = run_starts(starts, series)
        if len(first) == len(order):
            return SeriesRows(series, starts, self.rows.take(order))
        return SeriesRows(series[first], starts[first], self.rows.summed(order, first))


class OpenRows(NamedTuple):
    """Rows of open panes as the sources sent them, at least one.

    sources: the number of the source of each. low, high: the lowest and the highest pane.
    """

    found: SeriesRows
    versions: Ints
    sources: Ints
    low: int
    high: int

    @classmethod
    def of(cls, found: SeriesRows, versions: Ints, sources: Ints) -> OpenRows:
        """Rows, with their lowest and highest pane."""
        return cls(found, versions, sources, int(found.starts.min()), int(found.starts.max()))

    def take(self, places: Ints) -> OpenRows:
        """Some rows, in this order."""
        return OpenRows.of(self.found.take(places), self.versions[places], self.sources[places])


class OpenSeries:
    """The open panes of the series of a view, in parts as they came.

    Law: of each series, pane and source the greatest version counts, in whatever order the parts came.
    """

    def __init__(self) -> None:
        self._parts: list[OpenRows] = []
        self._count, self._limit = 0, _FEW
        self.lowest = FOREVER
        """The lowest pane; FOREVER if there is none."""

    def __len__(self) -> int:
        return self._count

    @property
    def highest(self) -> int:
        """The highest pane; below 0 if there is none."""
        return max((part.high for part in self._parts), default=-1)

    def put(self, part: OpenRows) -> None:
        """Add rows, at least one."""
        self._parts.append(part)
        self._count += len(part.found)
        self.lowest = min(self.lowest, part.low)

    def counts(self, low: int) -> Counter[int]:
        """Pane → its rows, for the panes below `low`."""
        counts = Counter[int]()
        for part in (part for part in self._parts if part.low < low) if self.lowest < low else ():
            if part.low == part.high:  # as usual
                counts[part.low] += len(part.found)
                continue
            panes, rows = np.unique(part.found.starts, return_counts=True)
            counts.update(
                {pane: n for pane, n in zip(panes.tolist(), rows.tolist(), strict=True) if pane < low}
            )
        return counts

    def close(self, low: int) -> tuple[SeriesRows | None, int]:
        """Remove the panes below `low`, summed over all sources, and how many rows had a newer version."""
        if self.lowest >= low:
            return None, 0
        due, kept = list[OpenRows](), list[OpenRows]()
        for part in self._parts:
            if part.high < low:
                due.append(part)
            elif part.low >= low:
                kept.append(part)
            else:
                below = part.found.starts < low
                due.append(part.take(np.flatnonzero(below)))
                kept.append(part.take(np.flatnonzero(~below)))
        self._parts, self.lowest = kept, min((part.low for part in kept), default=FOREVER)
        every = _concatenated(due)
        self._count -= len(every.found)
        found, places = every.found, _newest(every)
        stale = len(found) - len(places)
        if stale:
            found, places = found.take(places), np.arange(len(places))
        return found.summed(places), stale

    def compact(self) -> None:
        """Drop the rows that have a newer version, if there may be many."""
        if len(self._parts) > _MANY or len(self) > self._limit:
            every = _concatenated(self._parts)
            self._parts = [every.take(_newest(every))]
            self._count = len(self._parts[0].found)
            self._limit = 2 * self._count + _FEW

    def whole(self) -> OpenRows | None:
        """All rows; None for none."""
        if len(self._parts) > 1:
            self._parts = [_concatenated(self._parts)]
        return self._parts[0] if self._parts else None

    def renumber(self, numbers: Ints) -> None:
        """Give the series other numbers. numbers: the new one by the old one."""
        self._parts = [
            part._replace(found=replace(part.found, series=numbers[part.found.series]))
            for part in self._parts
        ]


def _concatenated(parts: Sequence[OpenRows]) -> OpenRows:
    if len(parts) == 1:
        return parts[0]
    return OpenRows(
        SeriesRows.concatenated([part.found for part in parts]),
        np.concatenate([part.versions for part in parts]),
        np.concatenate([part.sources for part in parts]),
        min(part.low for part in parts),
        max(part.high for part in parts),
    )


def _newest(rows: OpenRows) -> Ints:
    """The places of the rows with the greatest version of each pane, series and source, in their order."""
    found = rows.found
    order = np.lexsort((rows.versions, rows.sources, found.series, found.starts))
    first = run_starts(found.starts[order], found.series[order], rows.sources[order])
    return order if len(first) == len(order) else order[np.append(first[1:], len(order)) - 1]
