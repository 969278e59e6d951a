"""What calls say in words, as numbers: the columns of calls become one matrix of integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.columns import HEIGHT, Columns
from llmvitals.combine.names import Codes, at_version, plain, profile
from llmvitals.sketch import heavy

Ints = NDArray[np.int64]

PROFILE: Final = HEIGHT
"""The row of the code of a call's dimensions; after it come those of its contributors, by heavy.KINDS."""
FULL: Final = 100_000


@dataclass(slots=True)
class Coded:
    """n calls: the rows of Columns.vectors, PROFILE and the contributors' codes (… × n); a trace id each."""

    matrix: Ints
    traces: Sequence[str]

    def split(self, order: Ints, counts: Ints) -> list[Coded]:
        """Parts of these sizes, after putting the calls into this order."""
        matrix, traces = np.take(self.matrix, order, axis=1), [self.traces[i] for i in order.tolist()]
        ends = np.cumsum(counts).tolist()
        return [
            Coded(matrix[:, end - count : end], traces[end - count : end])
            for end, count in zip(ends, counts.tolist(), strict=True)
        ]


class Book:
    """Codes of names, for as many panes as were begun before it was full."""

    def __init__(self, *, contributors: bool) -> None:
        self.profiles = Codes(profile)
        self.who = {
            kind: Codes(at_version if kind == "prompt" else plain) for kind in heavy.KINDS if contributors
        }

    @property
    def full(self) -> bool:
        """Whether new panes should begin another one, so that names that nobody says any more are dropped."""
        return len(self.profiles) + sum(map(len, self.who.values())) > FULL

    def code(self, columns: Columns) -> Coded:
        """Look up, and note, everything that calls say."""
        said = zip(*columns.dimensions, strict=True) if columns.dimensions else repeat((), len(columns.ids))
        matrix = np.empty((HEIGHT + 1 + len(self.who), len(columns.ids)), np.int64)
        matrix[:HEIGHT] = columns.vectors
        matrix[PROFILE] = self.profiles.of(said)
        for row, (codes, column) in enumerate(zip(self.who.values(), columns.who, strict=False), PROFILE + 1):
            matrix[row] = codes.of(column)
        return Coded(matrix, columns.traces)


def joined(parts: Sequence[Coded]) -> Coded:
    """Parts one after another, one part at least."""
    if len(parts) == 1:
        return parts[0]
    return Coded(
        np.concatenate([part.matrix for part in parts], axis=1),
        [trace for part in parts for trace in part.traces],
    )
