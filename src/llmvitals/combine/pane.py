"""One pane of a source partition: everything that its calls add up to, late ones apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.interner import CodedCalls, Interner
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.together import rows as rows_together
from llmvitals.combine.view_tables import ViewRows, ViewTables
from llmvitals.sketch.runs import runs

Ints = NDArray[np.int64]

ON_TIME: Final = -1
"""In place of the quarter of an hour of a late call."""
QUARTERS: Final = 96
"""Quarters of an hour that the late calls of a pane are told apart by: a day of them."""


class ViewEntries(NamedTuple):
    """Entries of a view for frames: series and their vitals; pane, version and quarter of each.

    quarter: of an hour, of the calls' own time; ON_TIME if they are not late.
    """

    found: ViewRows
    panes: Ints
    versions: Ints
    quarters: Ints

    def by_version(self) -> Iterator[ViewEntries]:
        """Parts of one version each, in order."""
        for start, end in runs(self.versions):
            inside = slice(start, end)
            series, codes, rows = self.found
            found = ViewRows(series, codes[inside], rows.part(start, end))
            yield ViewEntries(found, self.panes[inside], self.versions[inside], self.quarters[inside])

    def only(self, wanted: NDArray[np.bool_]) -> ViewEntries:
        """Only the wanted entries."""
        if wanted.all():
            return self
        places = np.flatnonzero(wanted)
        (series, codes, rows) = self.found
        found = ViewRows(series, codes[places], rows.take(places))
        return ViewEntries(found, self.panes[places], self.versions[places], self.quarters[places])


class Pane:
    """The calls of one source partition in one pane.

    first, watermark, lowest: the offset of its first call, the watermark before that call, and the lowest
    pane that was open then: a replay starts there. closed: the offset at which the pane closed, None while it
    is open. emitted: whether its last frames were emitted. pending: calls that are not added up yet.

    Late calls are added up apart, by the quarter of an hour of their own time. The first QUARTERS of those
    are kept; calls of another one count in the next later quarter that is kept, or else in the latest.
    """

    def __init__(
        self, number: int, plan: CombinePlan, interner: Interner, *, first: int, watermark: int, lowest: int
    ) -> None:
        self.number, self.interner = number, interner
        self.first, self.watermark, self.lowest = first, watermark, lowest
        self.closed: int | None = None
        self.emitted = False
        self.pending = 0
        self._plan = plan
        self._on_time = ViewTables(plan, interner)
        self._late: dict[int, ViewTables] = {}

    def put(self, coded: CodedCalls, quarter: int = ON_TIME) -> None:
        """Add calls, in the order of the log. quarter: of their own time (µs // QUARTER_HOUR) if late."""
        tables = self._on_time if quarter == ON_TIME else self._late[self.kept(quarter)]
        tables.put(coded)
        self.pending += len(coded.traces)

    def kept(self, quarter: int) -> int:
        """The quarter of an hour in which late calls of this one count, from now on."""
        if quarter not in self._late and len(self._late) == QUARTERS:
            return min((kept for kept in self._late if kept > quarter), default=max(self._late))
        if quarter not in self._late:
            self._late[quarter] = ViewTables(self._plan, self.interner)
        return quarter

    def add_up(self) -> None:
        """Add the pending calls to the tables."""
        for _, tables in self.tables():
            tables.add_up()
        self.pending = 0

    def changed_entries(self, version: int) -> Iterator[ViewEntries]:
        """Early entries of the series of eager views that changed since the last call."""
        for quarter, tables in self.tables():
            for found in tables.changed_rows():
                columns = (np.full(len(found.codes), value) for value in (self.number, version, quarter))
                yield ViewEntries(found, *columns)

    def tables(self) -> list[tuple[int, ViewTables]]:
        """The tables by the quarter of an hour of their calls: ON_TIME first, then those of late calls."""
        return [(ON_TIME, self._on_time), *sorted(self._late.items(), key=itemgetter(0))]


def emit(panes: Sequence[Pane], plan: CombinePlan) -> list[ViewEntries]:
    """All entries of closed panes, and mark the panes as emitted; their sums are freed.

    The version of entries is the offset at which their pane closed.
    """
    every = [(pane, quarter, tables) for pane in panes for quarter, tables in pane.tables()]
    numbers = np.array([pane.number for pane, _, _ in every], np.int64)
    versions = np.array([pane.closed for pane, _, _ in every], np.int64)
    quarters = np.array([quarter for _, quarter, _ in every], np.int64)
    emitted = [
        ViewEntries(found, numbers[owners], versions[owners], quarters[owners])
        for owners, found in rows_together([tables for _, _, tables in every], plan)
    ]
    for pane in panes:
        pane.emitted = True
    for _, _, tables in every:
        tables.clear()
    return emitted
