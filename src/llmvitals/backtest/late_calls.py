"""The late calls of a block, which are evaluated beside those on time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from llmvitals.backtest.columns import SeriesColumns
from llmvitals.combine.pane import ON_TIME
from llmvitals.record.vitals import Vitals, merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from llmvitals.backtest.block import Block
    from llmvitals.rules.condition.kind import RequiredData

    Ints = NDArray[np.int64]
    Entries = Iterable[tuple[int, int, Vitals]]

LateCalls = dict[tuple[int, int], dict[int, Vitals]]
"""(row of a series, pane) → the calls that came late in it, by the quarter of an hour of their own time."""


def on_time(block: Block, rows: Ints) -> Ints:
    """The row of each call that was on time; -1 for others."""
    return np.where(block.quarters == ON_TIME, rows, -1)


def late_calls(block: Block, rows: Ints, needs: RequiredData, tools: Sequence[str]) -> LateCalls:
    """Add up the late calls of a block; rows: the series of each call, below 0 for none."""
    late = np.flatnonzero((block.quarters != ON_TIME) & (rows >= 0))
    found: LateCalls = defaultdict(dict)
    if len(late):
        places, inverse = np.unique(np.stack((rows[late], block.quarters[late])), axis=1, return_inverse=True)
        row_of_place = np.full(len(rows), -1)
        row_of_place[late] = inverse.ravel()
        for place, pane, vitals in SeriesColumns.of(block, row_of_place, needs).vitals(tools):
            row, quarter = places[:, place].tolist()
            found[row, pane][quarter] = vitals
    return found


def beside(entries: Entries, late: LateCalls, grain: int = 1) -> Entries:
    """Entries (row, pane, vitals) with the late calls in them, in the same order.

    grain: each `grain` aligned panes are one entry, in the last of them (see SeriesColumns.coarse).
    """
    if not late:
        return entries
    found = {(row, pane // grain): (pane, vitals) for row, pane, vitals in entries}
    for (row, pane), by_quarter in late.items():
        last, vitals = found.get((row, pane // grain), (pane, Vitals()))
        together = replace(vitals, late=_joined(vitals.late, by_quarter))
        found[row, pane // grain] = max(last, pane), together
    return ((row, pane, vitals) for (row, _), (pane, vitals) in sorted(found.items(), key=itemgetter(0)))


def _joined(one: Mapping[int, Vitals], other: Mapping[int, Vitals]) -> dict[int, Vitals]:
    quarters = sorted({*one, *other})
    return {
        quarter: merged([part[quarter] for part in (one, other) if quarter in part]) for quarter in quarters
    }
