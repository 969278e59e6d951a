"""What calls say in words, as numbers: the columns of calls become one matrix of integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine import embedded
from llmvitals.combine.columns import HEIGHT, Columns
from llmvitals.combine.embedded import Embedded
from llmvitals.combine.multi_valued import NOTHING, MultiValued
from llmvitals.combine.multi_valued import joined as joined_several
from llmvitals.combine.names import Codes, at_version, plain, profile
from llmvitals.sketch import top_k
from llmvitals.sketch.counters import SUM

Ints = NDArray[np.int64]

PROFILE: Final = HEIGHT
"""The row of the code of a call's dimensions; after it come those of its contributors, by heavy.KINDS."""
FULL: Final = 100_000


@dataclass(slots=True)
class Coded:
    """n calls: the rows of Columns.vectors, PROFILE and the contributors' codes (… × n); a trace id each.

    tools, scores: by code. embedded: the vectors of those that are no copies.
    """

    matrix: Ints
    traces: Sequence[str]
    tools: MultiValued
    scores: MultiValued
    embedded: Embedded

    def split(self, order: Ints, counts: Ints) -> list[Coded]:
        """Parts of these sizes, after putting the calls into this order."""
        matrix, traces = np.take(self.matrix, order, axis=1), [self.traces[i] for i in order.tolist()]
        tools, scores = self.tools.take(order), self.scores.take(order)
        edges = [0, *np.cumsum(counts).tolist()]
        return [
            Coded(
                matrix[:, start:end],
                traces[start:end],
                tools.part(start, end),
                scores.part(start, end),
                vectors,
            )
            for (start, end), vectors in zip(
                pairwise(edges), embedded.split(self.embedded, order, edges), strict=True
            )
        ]


class Interner:
    """Codes of names, for as many panes as were begun before it was full."""

    def __init__(self, *, contributors: bool, scales: Mapping[str, float]) -> None:
        self.profiles = Codes(profile)
        self.who = {
            kind: Codes(at_version if kind == "prompt" else plain) for kind in top_k.KINDS if contributors
        }
        self.scores = Codes(plain)
        self.vectors = embedded.Reader(scales)

    @property
    def full(self) -> bool:
        """Whether new panes should begin another one, so that names that nobody says any more are dropped."""
        words = len(self.profiles) + len(self.scores) + len(self.vectors.codes)
        return words + sum(map(len, self.who.values())) > FULL

    def code(self, columns: Columns) -> Coded:
        """Look up, and note, everything that calls say."""
        said = zip(*columns.dimensions, strict=True) if columns.dimensions else repeat((), len(columns.ids))
        who = columns.who if self.who else ()
        matrix = np.empty((HEIGHT + 1 + len(who), len(columns.ids)), np.int64)
        matrix[:HEIGHT] = columns.vectors
        matrix[PROFILE] = self.profiles.of(said)
        for row, (codes, column) in enumerate(zip(self.who.values(), who, strict=False), PROFILE + 1):
            matrix[row] = codes.of(column)
        tools = _coded(columns.tools, self.who["tool"]) if self.who else NOTHING
        vectors = self._embedded(matrix, columns)
        return Coded(matrix, columns.traces, tools, _coded(columns.scores, self.scores), vectors)

    def _embedded(self, matrix: Ints, columns: Columns) -> Embedded:
        """The vectors of calls, and in the matrix, whether they are usable."""
        if not len(columns.embedded.places):
            return {}
        copies = np.flatnonzero(matrix[SUM["duplicates"]])
        found, unusable = self.vectors.read(columns.embedded.without(copies), columns.ids)
        matrix[SUM["unscored_calls"], unusable] = 1
        for vectors in found.values():
            matrix[SUM["embedded_calls"], vectors.places] = 1
        return found


def _coded(several: MultiValued, codes: Codes[str]) -> MultiValued:
    """Words by their codes; what has no name is left out."""
    if not len(several.places):
        return NOTHING
    found = np.array(codes.of(several.said.tolist()), np.int64)
    named = found >= 0
    return MultiValued(several.places[named], found[named], several.values[named])


def joined(parts: Sequence[Coded]) -> Coded:
    """Parts one after another, one part at least."""
    if len(parts) == 1:
        return parts[0]
    return Coded(
        np.concatenate([part.matrix for part in parts], axis=1),
        [trace for part in parts for trace in part.traces],
        joined_several([(len(part.traces), part.tools) for part in parts]),
        joined_several([(len(part.traces), part.scores) for part in parts]),
        embedded.joined([(len(part.traces), part.embedded) for part in parts]),
    )
