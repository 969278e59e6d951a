"""The sums of a backtest as columns: panes that are joined into one."""

from __future__ import annotations

import numpy as np

from llmvitals.backtest.columns import SHIFT, SeriesColumns, SparseCounts
from llmvitals.rules.condition.kind import RequiredData

PANES = (6, 7, 13, 17, 21)
"""Of a series with one call in each; six panes are a minute."""


def columns() -> SeriesColumns:
    keys = np.concatenate([(row << SHIFT) + np.array(PANES) for row in (0, 3)])
    ones = np.ones(len(keys), np.int64)
    return SeriesColumns(
        RequiredData(("calls",)),
        keys,
        ones[None],
        np.empty((0, len(keys)), np.int64),
        SparseCounts(keys, ones * 5, ones),
    )


def joined(low: int) -> list[tuple[int, int, int, int]]:
    """Row, pane, calls and calls in bins of each entry."""
    entries = columns().coarse(6, low).vitals([])
    return [(row, pane, vitals.total("calls"), int(vitals.bins[1].sum())) for row, pane, vitals in entries]


def test_panes_are_joined_in_the_last_one_with_calls():
    assert joined(0) == [(row, pane, n, n) for row in (0, 3) for pane, n in ((7, 2), (17, 2), (21, 1))]


def test_or_in_the_last_one_of_all_where_that_is_complete():
    assert joined(18) == [(row, pane, n, n) for row in (0, 3) for pane, n in ((11, 2), (17, 2), (21, 1))]
