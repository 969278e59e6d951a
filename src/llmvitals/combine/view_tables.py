"""The tables of all views for some calls of a pane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.embeddings import with_features
from llmvitals.combine.interner import PROFILE, CodedCalls, Interner, concatenate
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.prepared import prepare
from llmvitals.combine.series_codes import accepts, series_in
from llmvitals.combine.table import Series, Table
from llmvitals.record.rows import Rows

Ints = NDArray[np.int64]


class ViewRows(NamedTuple):
    """Series of a view, and their vitals: a row each."""

    view: str
    series: Sequence[Series]
    rows: Rows


_UNSEEN: Final = -2
_UNWANTED: Final = -1


class ViewTables:
    """A table for each view. coded: calls that are not added up yet.

    Law: calls are kept as columns and added up when the sums are read, in the order of the log, so the sums
    depend on the calls only, not on when they are read.
    """

    def __init__(self, plan: CombinePlan, interner: Interner) -> None:
        self._plan, self.interner = plan, interner
        self.coded: list[CodedCalls] = []
        self._tables: list[Table] = []
        self._rows = np.empty((len(plan.views), 0), np.int64)
        """For each view and profile: the row, _UNSEEN, or _UNWANTED where the view excludes the profile."""

    def put(self, coded: CodedCalls) -> None:
        """Add calls, in the order of the log. They are summed later, by `add_up`."""
        self.coded.append(coded)

    @property
    def pending(self) -> int:
        """How many calls there are, if none of them is added up yet; else 0."""
        return 0 if self._tables else sum(len(part.traces) for part in self.coded)

    def add_up(self) -> None:
        """Add the pending calls to the tables."""
        if not self.coded:
            return
        if not self._tables:
            self._tables = [Table(view, self._plan.max_series, self.interner) for view in self._plan.views]
        coded = concatenate(self.coded)
        self.coded = []
        profiles = coded.matrix[PROFILE]
        self._assign_rows(profiles)
        prepared = prepare(coded, self.interner, arms=any(view.split for view in self._plan.views))
        for table, rows in zip(self._tables, self._rows, strict=True):
            table.add(rows[profiles], prepared)
        self._add_embeddings(coded, profiles)

    def _add_embeddings(self, coded: CodedCalls, profiles: Ints) -> None:
        """Add up the embeddings of calls, for the views that keep them."""
        tables = zip(self._tables, self._rows, strict=True)
        wanted = [(table, rows[profiles]) for table, rows in tables if table.view.meaning]
        for kind, featured in with_features(coded.embedded) if wanted else ():
            for table, rows in wanted:
                table.add_embeddings(rows, kind, featured, coded.traces)

    def _assign_rows(self, profiles: Ints) -> None:
        """Assign a row in every view to each new profile, in the order of the log."""
        names = self.interner.profiles.names
        added = len(names) - self._rows.shape[1]
        self._rows = np.pad(self._rows, ((0, 0), (0, added)), constant_values=_UNSEEN)
        unseen = profiles[(self._rows[:, profiles] == _UNSEEN).any(axis=0)]
        for profile in dict.fromkeys(unseen.tolist()):
            values = dict(zip(self._plan.dimensions, names[profile], strict=True))
            for table, rows in zip(self._tables, self._rows, strict=True):
                rows[profile] = (
                    table.row(series_in(table.view, values)) if accepts(table.view, values) else _UNWANTED
                )

    def rows(self) -> Iterator[ViewRows]:
        """The series of each view."""
        self.add_up()
        for table in self._tables:
            series, rows = table.rows(self._plan.heaviest)
            if series:
                yield ViewRows(table.view.name, series, rows)

    def changed_rows(self) -> Iterator[ViewRows]:
        """The series of eager views that changed since the last call, for early entries; see Table."""
        if any(view.eager for view in self._plan.views):
            self.add_up()
        for table in self._tables:
            if not table.view.eager:
                continue
            series, rows = table.changed_rows(self._plan.heaviest)
            if series:
                yield ViewRows(table.view.name, series, rows)

    def clear(self) -> None:
        """Free the sums."""
        self.coded, self._tables = [], []
        self._rows = np.empty((len(self._plan.views), 0), np.int64)
