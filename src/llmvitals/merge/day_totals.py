"""Adds up closed panes to days and nothing else, for a replay that prints only those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from llmvitals.merge.bucket import ClosedPanes
from llmvitals.merge.rollup import Windows, whole
from llmvitals.merge.series_rows import SeriesRows
from llmvitals.merge.series_table import SeriesTable
from llmvitals.window import ROLLUPS

_DAY: Final = ROLLUPS["1d"]
_MOST: Final = 4_096
"""Rows of a view that wait until they are added up at once."""


class DayTotals:
    """In place of a `Rollup`: the counters and bins of days, once each, when the day is over.

    Contributors, scores and embeddings are left out. pane_us: length of a pane, µs.

    Law: counters and bins of a day are those of `Rollup`.
    """

    def __init__(self, pane_us: int) -> None:
        self._pane_us = pane_us

    def take(
        self, view: str, table: SeriesTable, closed: ClosedPanes | None, *, now: int
    ) -> Iterator[Windows]:
        """Add closed panes. Yields the days that end by `now` (µs)."""
        if closed is not None:
            panes = whole(table, closed)
            starts = panes.starts * self._pane_us
            starts -= starts % _DAY
            added = replace(panes, starts=starts, rows=replace(panes.rows, details={}))
            self._add(table, added)
        days = table.windows.get("1d", {})
        for start in sorted(start for start in days if start + _DAY <= now):
            day = days.pop(start).summed()
            yield Windows.of(view, "1d", table, day)
        if not days:
            table.windows.pop("1d", None)

    def drop(self, table: SeriesTable, now: int) -> bool:
        """Nothing: `take` has dropped the days that it returned."""
        del table, now
        return False

    def _add(self, table: SeriesTable, added: SeriesRows) -> None:
        days = table.windows.setdefault("1d", {})
        for start in np.unique(added.starts).tolist():
            part = added.take(np.flatnonzero(added.starts == start))
            both = SeriesRows.concatenated((days[start], part)) if start in days else part
            days[start] = both.summed() if len(both) > _MOST else both
