"""One open pane: everything that its calls add up to, by view and series."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Final

import numpy as np

from llmvitals.combine.chunk import prepare
from llmvitals.combine.columns import Columns, joined
from llmvitals.combine.names import Codes, at_version, plain, profile
from llmvitals.combine.plan import Plan
from llmvitals.combine.table import Series, Table
from llmvitals.record.frame import Entry
from llmvitals.record.view import View
from llmvitals.sketch import heavy

EARLY: Final = 50_000
"""Contributors of a view beyond which its early frames have none: sorting them again and again costs more
than a budget's open pane is worth. The pane's last frame has them."""


class Pane:
    """What one source partition knows of one pane.

    first, watermark: the offset of its first call, and the watermark before it: where a replay has to start.
    ids: of all calls that were placed here. closed: the offset at which it closed, once it did. given:
    whether its last frames were given out.

    Law: calls are kept as columns and added up when somebody looks, in the order of the log, so what is seen
    depends on the calls only, not on when one looked.
    """

    def __init__(self, number: int, plan: Plan, *, first: int, watermark: int) -> None:
        self.number, self.first, self.watermark = number, first, watermark
        self.ids: set[str] = set()
        self.closed: int | None = None
        self.given = False
        self.waiting = 0
        self._plan = plan
        self._columns: list[Columns] = []
        wanted = any(view.contributors for view in plan.views)
        self._names = {
            kind: Codes(at_version if kind == "prompt" else plain) for kind in heavy.KINDS if wanted
        }
        self._profiles = Codes(profile)
        self._tables = [Table(view, plan.max_series, self._names) for view in plan.views]
        self._rows: list[list[int]] = [[] for _ in plan.views]
        """For each view the row of each profile, below 0 where the view does not want it."""

    def put(self, columns: Columns) -> None:
        """Take calls in, in the order of the log."""
        self._columns.append(columns)
        self.waiting += len(columns.ids)

    def settle(self) -> None:
        """Add up what waits."""
        if not self.waiting:
            return
        columns = joined(self._columns)
        self._columns, self.waiting = [], 0
        said = zip(*columns.dimensions, strict=True) if columns.dimensions else repeat((), len(columns.ids))
        codes = self._profiles.of(said)
        for values in self._profiles.names[len(self._rows[0]) :] if self._rows else ():
            found = dict(zip(self._plan.dimensions, values, strict=True))
            for table, rows in zip(self._tables, self._rows, strict=True):
                rows.append(table.row(_series(table.view, found)) if _wants(table.view, found) else -1)
        chunk = prepare(columns, self._names)
        for table, rows in zip(self._tables, self._rows, strict=True):
            table.add(np.array(rows, np.int64)[codes], chunk)

    def early(self) -> Iterator[Entry]:
        """What changed in eager views since this was last asked."""
        eager = [table for table in self._tables if table.view.eager]
        if eager:
            self.settle()
        return self._entries(eager, changed=True)

    def give(self) -> Iterator[Entry]:
        """All that there is, for the last time: only ids stay, and only where somebody may ask for them."""
        self.settle()
        yield from self._entries(self._tables, changed=False)
        self.given = True
        self._tables, self._rows = [], []
        self._names, self._profiles = {}, Codes(profile)
        if not self._plan.remembered:
            self.ids = set()

    def _entries(self, tables: list[Table], *, changed: bool) -> Iterator[Entry]:
        for table in tables:
            most = 0 if changed and table.crowded(EARLY) else self._plan.heaviest
            for series, vitals in table.entries(most, changed=changed):
                yield Entry(table.view.name, series, self.number, vitals)


def _wants(view: View, said: dict[str, str]) -> bool:
    return all(condition.accepts(said[name]) for name, condition in view.where)


def _series(view: View, said: dict[str, str]) -> Series:
    return tuple([said[name] for name in view.by])
