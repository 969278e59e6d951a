"""The series of one view in a bucket: their names, open panes, minutes and windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.merge.series_rows import OpenRows, OpenSeries, SeriesRows
from llmvitals.record.rows import Rows
from llmvitals.record.vitals import Vitals

Ints = NDArray[np.int64]

_FEW: Final = 64
"""Numbers of series are not given back before there are more than this."""


class SeriesTable:
    """names: the key of each series by its number; numbers are given back when nothing is left of a series.

    sources: by their number. minutes: start → rows that are not summed yet. windows: name → start → one row
    for each series, ascending.
    """

    def __init__(self, names: Sequence[bytes] = (), sources: Sequence[str] = ()) -> None:
        self.names, self.sources = list(names), list(sources)
        self.open = OpenSeries()
        self.minutes: dict[int, list[SeriesRows]] = {}
        self.windows: dict[str, dict[int, SeriesRows]] = {}
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._limit = _FEW

    def numbers(self, names: Sequence[bytes]) -> Ints:
        """The numbers of series; new ones get a number."""
        known = self._numbers
        found = list(map(known.get, names))
        if None in found:
            for place, name in enumerate(names):
                number = known.setdefault(name, len(self.names))
                if number == len(self.names):
                    self.names.append(name)
                found[place] = number
        return np.array(found, np.int64)

    def rows(self, entries: Sequence[tuple[int, bytes, Vitals]]) -> SeriesRows:
        """Make a row of each entry: a start, the name of a series, and vitals."""
        return SeriesRows(
            self.numbers([name for _, name, _ in entries]),
            np.array([start for start, _, _ in entries], np.int64),
            Rows.of([vitals for _, _, vitals in entries]),
        )

    def put(self, source: str, part: PlacedRows) -> None:
        """Add rows of open panes that a source sent."""
        if source not in self.sources:
            self.sources.append(source)
        found = SeriesRows(self.numbers(part.names), part.panes, part.rows)
        number = self.sources.index(source)
        versions, sources = np.full(len(found), part.version), np.full(len(found), number)
        self.open.put(OpenRows.of(found, versions, sources))
        if part.eager:  # the series of other views come once for each pane
            self.open.compact()

    def name(self, rows: SeriesRows) -> list[bytes]:
        """The names of the series of rows."""
        names = self.names
        return [names[number] for number in rows.series.tolist()]

    def live(self) -> set[bytes]:
        """The names of the series that have rows."""
        return {self.names[number] for number in self._used().tolist()}

    def window_rows(self, name: str) -> int:
        """How many rows the windows of this name have."""
        return sum(map(len, self.windows.get(name, {}).values()))

    @property
    def empty(self) -> bool:
        """Whether there is no row."""
        return not (len(self.open) or self.minutes or self.windows)

    def give_back(self) -> None:
        """Drop the names of which nothing is left, if there may be many."""
        if len(self.names) <= self._limit:
            return
        used = self._used()
        numbers = np.full(len(self.names), -1)
        numbers[used] = np.arange(len(used))
        self.names = [self.names[number] for number in used.tolist()]
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._limit = 2 * len(self.names) + _FEW
        self.open.renumber(numbers)
        for parts in self.minutes.values():
            parts[:] = [replace(part, series=numbers[part.series]) for part in parts]
        for starts in self.windows.values():
            for start, part in starts.items():
                starts[start] = replace(part, series=numbers[part.series])

    def _used(self) -> Ints:
        """The numbers of the series that have rows, ascending."""
        whole = self.open.whole()
        parts = [whole.found.series] if whole else []
        parts += [part.series for part in chain.from_iterable(self.minutes.values())]
        parts += [part.series for starts in self.windows.values() for part in starts.values()]
        used = np.zeros(len(self.names), np.bool_)
        for series in parts:
            used[series] = True
        return np.flatnonzero(used)


class PlacedRows(NamedTuple):
    """Rows of a block that fall into one bucket. eager: whether rules read them while their pane is open."""

    view: str
    names: Sequence[bytes]
    panes: Ints
    version: int
    rows: Rows
    eager: bool

    def take(self, places: Ints) -> PlacedRows:
        """Some rows, in this order."""
        names = [self.names[place] for place in places.tolist()]
        return PlacedRows(
            self.view, names, self.panes[places], self.version, self.rows.take(places), self.eager
        )
