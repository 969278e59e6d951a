"""One open pane: everything that its calls add up to, by view and series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.chunk import prepare
from llmvitals.combine.embedded import pictured
from llmvitals.combine.interner import PROFILE, Coded, Interner, joined
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.table import Series, Table
from llmvitals.record.frame import Entry
from llmvitals.record.view import View

Ints = NDArray[np.int64]

_UNSEEN: Final = -2
_UNWANTED: Final = -1
EARLY: Final = 50_000
"""Contributors of a view beyond which its early frames have none: sorting them again and again costs more
than a budget's open pane is worth. The pane's last frame has them."""


class Pane:
    """What one source partition knows of one pane.

    first, watermark, lowest: the offset of its first call, the watermark before it, and the lowest pane that
    was open there: where a replay has to start. closed: the offset at which it closed, once it did. given:
    whether its last frames were given out.

    Law: calls are kept as columns and added up when somebody looks, in the order of the log, so what is seen
    depends on the calls only, not on when one looked.
    """

    def __init__(
        self, number: int, plan: CombinePlan, book: Interner, *, first: int, watermark: int, lowest: int
    ) -> None:
        self.number, self.book = number, book
        self.first, self.watermark, self.lowest = first, watermark, lowest
        self.closed: int | None = None
        self.given = False
        self.waiting = 0
        self._plan = plan
        self._coded: list[Coded] = []
        self._tables = [Table(view, plan.max_series, book) for view in plan.views]
        self._rows = np.empty((len(plan.views), 0), np.int64)
        """For each view and profile the row, _UNSEEN so far, or below 0 where the view does not want it."""

    def put(self, coded: Coded) -> None:
        """Take calls in, in the order of the log."""
        self._coded.append(coded)
        self.waiting += len(coded.traces)

    def settle(self) -> None:
        """Add up what waits."""
        if not self.waiting:
            return
        coded = joined(self._coded)
        self._coded, self.waiting = [], 0
        profiles = coded.matrix[PROFILE]
        self._meet(profiles)
        chunk = prepare(coded, self.book)
        for table, rows in zip(self._tables, self._rows, strict=True):
            table.add(rows[profiles], chunk)
        self._mean(coded, profiles)

    def _mean(self, coded: Coded, profiles: Ints) -> None:
        """Add up what calls mean, for the views that want it."""
        tables = zip(self._tables, self._rows, strict=True)
        wanted = [(table, rows[profiles]) for table, rows in tables if table.view.meaning]
        for kind, few in pictured(coded.embedded) if wanted else ():
            for table, rows in wanted:
                table.mean(rows, kind, few, coded.traces)

    def _meet(self, profiles: Ints) -> None:
        """Give a row in every view to the profiles that were not met yet, in the order of the log."""
        names = self.book.profiles.names
        missing = len(names) - self._rows.shape[1]
        self._rows = np.pad(self._rows, ((0, 0), (0, missing)), constant_values=_UNSEEN)
        unseen = profiles[(self._rows[:, profiles] == _UNSEEN).any(axis=0)]
        for profile in dict.fromkeys(unseen.tolist()):
            said = dict(zip(self._plan.dimensions, names[profile], strict=True))
            for table, rows in zip(self._tables, self._rows, strict=True):
                rows[profile] = (
                    table.row(_series(table.view, said)) if _wants(table.view, said) else _UNWANTED
                )

    def early(self) -> Iterator[Entry]:
        """What changed in eager views since this was last asked."""
        eager = [table for table in self._tables if table.view.eager]
        if eager:
            self.settle()
        return self._entries(eager, changed=True)

    def give(self) -> Iterator[Entry]:
        """All that there is, for the last time."""
        self.settle()
        yield from self._entries(self._tables, changed=False)
        self.given = True
        self._tables, self._rows = [], np.empty((0, 0), np.int64)

    def _entries(self, tables: list[Table], *, changed: bool) -> Iterator[Entry]:
        for table in tables:
            most = 0 if changed and table.crowded(EARLY) else self._plan.heaviest
            for series, vitals in table.entries(most, changed=changed):
                yield Entry(table.view.name, series, self.number, vitals)


def _wants(view: View, said: dict[str, str]) -> bool:
    return all(condition.accepts(said[name]) for name, condition in view.where)


def _series(view: View, said: dict[str, str]) -> Series:
    return tuple([said[name] for name in view.by])
