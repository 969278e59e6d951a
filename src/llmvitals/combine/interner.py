"""Replaces the names in the columns of calls by integer codes, so that numpy can count by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine import embeddings
from llmvitals.combine.codes import Codes, at_version, error_in_app, plain, profile
from llmvitals.combine.columns import HEIGHT, Columns
from llmvitals.combine.embeddings import Embeddings
from llmvitals.combine.multi_valued import NOTHING, MultiValued
from llmvitals.combine.multi_valued import concatenate as concatenate_multi_valued
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.series_codes import SeriesCodes
from llmvitals.sketch import top_k
from llmvitals.sketch.cells import cell_of
from llmvitals.sketch.counters import SUM

Ints = NDArray[np.int64]

PROFILE: Final = HEIGHT
"""The row of the code of a call's dimensions. The codes of its contributors follow, one row for each of
top_k.KINDS but "tool"."""
FULL: Final = 400_000
"""Names in an interner that new panes no longer use: some 200 MB."""
_NAMED: Final[Mapping[str, Callable[[Any], str | None]]] = {"prompt": at_version, "error": error_in_app}


@dataclass(slots=True)
class CodedCalls:
    """n calls with codes instead of names.

    matrix (… × n): the rows of Columns.vectors, PROFILE and the contributors' codes. traces: a trace id for
    each call. tools, scores: by code. embedded: the vectors of the calls that are no copies.
    """

    matrix: Ints
    traces: Sequence[str]
    tools: MultiValued
    scores: MultiValued
    embedded: Embeddings

    def split(self, order: Ints, counts: Ints) -> list[CodedCalls]:
        """Put the calls into this order and split them into parts of these sizes."""
        matrix, traces = np.take(self.matrix, order, axis=1), [self.traces[i] for i in order.tolist()]
        tools, scores = self.tools.take(order), self.scores.take(order)
        edges = [0, *np.cumsum(counts).tolist()]
        vectors = embeddings.split(self.embedded, order, edges)
        parts = zip(pairwise(edges), tools.parts(edges), scores.parts(edges), vectors, strict=True)
        return [
            CodedCalls(matrix[:, start:end], traces[start:end], own_tools, own_scores, own_vectors)
            for (start, end), own_tools, own_scores, own_vectors in parts
        ]


class Interner:
    """The codes of names in the calls of a plan."""

    def __init__(self, plan: CombinePlan) -> None:
        named = any(view.contributors or view.split for view in plan.views)
        self.profiles = Codes(profile)
        self.contributors = {kind: Codes(_NAMED.get(kind, plain)) for kind in top_k.KINDS if named}
        self.scores = Codes(plain)
        self.vectors = embeddings.EmbeddingReader(plan.scales)
        self._series = [SeriesCodes(view, plan.dimensions, plan.shards) for view in plan.views]
        self._cells = {kind: np.empty(0, np.int64) for kind in ("user", "session")}

    @property
    def full(self) -> bool:
        """Whether new panes should use a new interner, so that the codes of unused names are freed."""
        names = len(self.profiles) + len(self.scores) + len(self.vectors.codes)
        return names + sum(map(len, self.contributors.values())) > FULL

    def cells(self, kind: str) -> Ints:
        """For each user or session (kind), the cell of calls with it alone (see sketch.cells)."""
        names, known = self.contributors[kind].names, self._cells[kind]
        if len(known) < len(names):
            known = np.append(known, [cell_of(name) for name in names[len(known) :]])
            self._cells[kind] = known
        return known

    def code(self, columns: Columns) -> CodedCalls:
        """Replace the names in the columns by codes; new names get new codes."""
        profiles = (
            zip(*columns.dimensions, strict=True) if columns.dimensions else repeat((), len(columns.ids))
        )
        contributors = columns.contributors if self.contributors else ()
        matrix = np.empty((HEIGHT + 1 + len(contributors), len(columns.ids)), np.int64)
        matrix[:HEIGHT] = columns.vectors
        matrix[PROFILE] = self.profiles.of(profiles, len(columns.ids))
        for row, (codes, column) in enumerate(
            zip(self.contributors.values(), contributors, strict=False), PROFILE + 1
        ):
            matrix[row] = codes.of(column, len(columns.ids))
        tools = _coded(columns.tools, self.contributors["tool"]) if self.contributors else NOTHING
        vectors = self._embedded(matrix, columns)
        return CodedCalls(matrix, columns.traces, tools, _coded(columns.scores, self.scores), vectors)

    def series(self) -> Sequence[SeriesCodes]:
        """For each view of the plan, the series of every profile."""
        for codes in self._series:
            codes.read(self.profiles.names)
        return self._series

    def _embedded(self, matrix: Ints, columns: Columns) -> Embeddings:
        """The vectors of the calls that are no copies."""
        if not len(columns.embedded.places):
            return {}
        copies = np.flatnonzero(matrix[SUM["duplicates"]])
        return self.vectors.read(columns.embedded.without(copies), columns.ids, columns.sources)


class Interners:
    """The interner that new panes get: the newest one, and another one once that is full.

    All partitions of a process share it, because most of their calls have the same names.
    """

    def __init__(self, plan: CombinePlan) -> None:
        self._plan, self._newest = plan, Interner(plan)

    def newest(self) -> Interner:
        """The interner that is not full."""
        if self._newest.full:
            self._newest = Interner(self._plan)
        return self._newest


def _coded(values: MultiValued, codes: Codes[str]) -> MultiValued:
    """Replace names by their codes; values without a name are left out."""
    if not len(values.places):
        return NOTHING
    coded = codes.of(values.names.tolist(), len(values.names))
    named = coded >= 0
    return MultiValued(values.places[named], coded[named], values.values[named])


def concatenate(parts: Sequence[CodedCalls]) -> CodedCalls:
    """Concatenate parts, at least one."""
    if len(parts) == 1:
        return parts[0]
    return CodedCalls(
        np.concatenate([part.matrix for part in parts], axis=1),
        [trace for part in parts for trace in part.traces],
        concatenate_multi_valued([(len(part.traces), part.tools) for part in parts]),
        concatenate_multi_valued([(len(part.traces), part.scores) for part in parts]),
        embeddings.concatenate([(len(part.traces), part.embedded) for part in parts]),
    )
