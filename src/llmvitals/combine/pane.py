"""One pane of a source partition: everything that its calls add up to, late ones apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final

from llmvitals.combine.interner import CodedCalls, Interner
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.together import entries as entries_together
from llmvitals.combine.view_tables import EntryOfView, ViewTables
from llmvitals.record.frame import Entry, LateEntry

ON_TIME: Final = -1
"""In place of the quarter of an hour of a late call."""
QUARTERS: Final = 96
"""Quarters of an hour that the late calls of a pane are told apart by: a day of them."""


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

    def changed_entries(self) -> Iterator[Entry]:
        """Entries of the series of eager views that changed since the last call."""
        for quarter, tables in self.tables():
            yield from self.made(quarter, tables.entries(changed=True))

    def made(self, quarter: int, entries: Iterable[EntryOfView]) -> Iterator[Entry]:
        """Entries of the tables of a quarter of an hour (or ON_TIME) for a frame."""
        for view, series, vitals in entries:
            if quarter == ON_TIME:
                yield Entry(view, series, self.number, vitals)
            else:
                yield LateEntry(view, series, self.number, vitals, quarter)

    def tables(self) -> list[tuple[int, ViewTables]]:
        """The tables by the quarter of an hour of their calls: ON_TIME first, then those of late calls."""
        return [(ON_TIME, self._on_time), *sorted(self._late.items(), key=itemgetter(0))]


def emit(panes: Sequence[Pane], plan: CombinePlan) -> list[list[Entry]]:
    """All entries of each pane, and mark the panes as emitted; their sums are freed."""
    every = [tables for pane in panes for _, tables in pane.tables()]
    found = iter(entries_together(every, plan))
    emitted = [
        [entry for quarter, _ in pane.tables() for entry in pane.made(quarter, next(found))] for pane in panes
    ]
    for pane in panes:
        pane.emitted = True
    for tables in every:
        tables.clear()
    return emitted
