"""The tables of all views for some calls of a pane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.embeddings import with_features
from llmvitals.combine.interner import PROFILE, CodedCalls, Interner, concatenate
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.prepared import prepare
from llmvitals.combine.series_codes import Series, SeriesCodes
from llmvitals.combine.table import Table
from llmvitals.record.rows import Rows

Ints = NDArray[np.int64]


class ViewRows(NamedTuple):
    """Series of a view by their codes, and their vitals: a row each."""

    names: SeriesCodes
    codes: Ints
    rows: Rows

    @property
    def view(self) -> str:
        """The name of the view."""
        return self.names.view.name

    @property
    def series(self) -> Sequence[Series]:
        """The series."""
        return [self.names.names[code] for code in self.codes.tolist()]


class ViewTables:
    """A table for each view. coded: calls that are not added up yet.

    Law: calls are kept as columns and added up when the sums are read, in the order of the log, so the sums
    depend on the calls only, not on when they are read.
    """

    def __init__(self, plan: CombinePlan, interner: Interner) -> None:
        self._plan, self.interner = plan, interner
        self.coded: list[CodedCalls] = []
        self._tables: list[Table] = []

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
        series = self.interner.series()
        if not self._tables:
            limit, packed = self._plan.max_series, self._plan.packed
            self._tables = [Table(names, limit, self.interner, packed=packed) for names in series]
        coded = concatenate(self.coded)
        self.coded = []
        profiles = coded.matrix[PROFILE]
        prepared = prepare(coded, self.interner, arms=any(view.split for view in self._plan.views))
        featured = list(with_features(coded.embedded)) if self._plan.meaning else []
        for table, names in zip(self._tables, series, strict=True):
            rows = table.rows_of(names.codes[profiles])
            table.add(rows, prepared)
            for kind, vectors in featured if table.view.meaning else ():
                table.add_embeddings(rows, kind, vectors, coded.traces)

    def rows(self) -> Iterator[ViewRows]:
        """The series of each view."""
        self.add_up()
        for table in self._tables:
            codes, rows = table.rows(self._plan.heaviest)
            if len(codes):
                yield ViewRows(table.series, codes, rows)

    def changed_rows(self) -> Iterator[ViewRows]:
        """The series of eager views that changed since the last call, for early entries; see Table."""
        if any(view.eager for view in self._plan.views):
            self.add_up()
        for table in self._tables:
            if not table.view.eager:
                continue
            codes, rows = table.changed_rows(self._plan.heaviest)
            if len(codes):
                yield ViewRows(table.series, codes, rows)

    def clear(self) -> None:
        """Free the sums."""
        self.coded, self._tables = [], []
