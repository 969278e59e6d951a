"""Adds up small panes together: with few calls in each, numpy's cost for each pane is more than the sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.embeddings import with_features
from llmvitals.combine.interner import PROFILE, concatenate
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.prepared import prepare
from llmvitals.combine.table import Table
from llmvitals.combine.view_tables import ViewRows, ViewTables

Ints = NDArray[np.int64]

SMALL: Final = 512
"""Tables with more pending calls than this are added up alone."""
TOGETHER: Final = 4_096
"""Calls that are added up at once: more need more memory."""


def rows(every: Sequence[ViewTables], plan: CombinePlan) -> Iterator[tuple[Ints, ViewRows]]:
    """All rows of these tables, and for each row the place of its tables.

    Law: the same rows as from each alone. Tables with more calls than the plan's limit of series, or with
    sums already, are read alone.
    """
    small = [place for place, tables in enumerate(every) if 0 < tables.pending <= min(SMALL, plan.max_series)]
    for start, end in pairwise(_cuts([every[place] for place in small])):
        places = np.array(small[start:end])
        for owners, found in _added_up([every[place] for place in places.tolist()], plan):
            yield places[owners], found
    alone = set(range(len(every))).difference(small)
    for place in sorted(alone):
        for found in every[place].rows():
            yield np.full(len(found.codes), place), found


def _cuts(every: Sequence[ViewTables]) -> list[int]:
    """Where groups begin that share an interner and have about TOGETHER calls, and the end."""
    cuts, size = [0], 0
    for place, tables in enumerate(every):
        if size and (size + tables.pending > TOGETHER or tables.interner is not every[place - 1].interner):
            cuts.append(place)
            size = 0
        size += tables.pending
    return [*cuts, len(every)] if every else []


def _added_up(every: Sequence[ViewTables], plan: CombinePlan) -> Iterator[tuple[Ints, ViewRows]]:
    """Add up the pending calls: in one table for each view, with a row for each series of each pane."""
    interner = every[0].interner
    coded = concatenate([part for tables in every for part in tables.coded])
    owners = np.repeat(np.arange(len(every)), [tables.pending for tables in every])
    profiles, prepared = (
        coded.matrix[PROFILE],
        prepare(coded, interner, arms=any(view.split for view in plan.views)),
    )
    featured = list(with_features(coded.embedded)) if plan.meaning else []
    for series in interner.series():
        rows_of_calls, first = _rows(series.codes[profiles], owners)
        if not len(first):
            continue
        table = Table(series, len(first), interner, packed=plan.packed)
        table.codes = series.codes[profiles[first]]
        table.add(rows_of_calls, prepared)
        for kind, vectors in featured if series.view.meaning else ():
            table.add_embeddings(rows_of_calls, kind, vectors, coded.traces)
        yield owners[first], ViewRows(series, *table.rows(plan.heaviest))


def _rows(series: Ints, owners: Ints) -> tuple[Ints, Ints]:
    """The row of each call, and the first call of each row; rows in the order of their first calls.

    series: of each call, below 0 where the view excludes it. owners: its pane, ascending.
    """
    wanted = np.flatnonzero(series >= 0)
    keys = owners[wanted] * (int(series.max(initial=0)) + 1) + series[wanted]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    number = np.empty(len(first), np.int64)
    number[order] = np.arange(len(first))
    rows = np.full(len(series), -1)
    rows[wanted] = number[inverse]
    return rows, wanted[first[order]]
