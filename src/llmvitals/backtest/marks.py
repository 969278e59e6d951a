"""Sparse counts beside the sums: bins of sketches, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from llmvitals.combine.multi_valued import MultiValued

Ints = NDArray[np.int64]

SHIFT: Final = 32
"""A key is row << SHIFT | pane, so that sorted keys lie row by row, in the order of panes."""
_MASK: Final = (1 << SHIFT) - 1


class Marks(NamedTuple):
    """Sparse counts: key, label (a bin, or a tool's code) and count (m each), sorted by key and label."""

    keys: Ints
    labels: Ints
    counts: Ints

    def only(self, keys: Ints) -> Marks:
        """Those of these keys (sorted)."""
        if not len(self.keys) or not len(keys):
            return NO_MARKS
        near = np.minimum(np.searchsorted(keys, self.keys), len(keys) - 1)
        mine = keys[near] == self.keys
        return Marks(self.keys[mine], self.labels[mine], self.counts[mine])

    def edges(self, keys: Ints) -> list[int]:
        """Where the marks of each key (all sorted) begin, and where the last ones end."""
        bounds = np.concatenate((keys, keys[-1:] + 1))
        return [int(edge) for edge in np.searchsorted(self.keys, bounds)]


NO_MARKS: Final = Marks(*(np.empty(0, np.int64) for _ in range(3)))


def marked(keys: Ints, entry: Ints, several: MultiValued) -> Marks:
    """What calls say several times, by entry; entry: of each call, below 0 for none."""
    mine = entry[several.places]
    inside = mine >= 0
    if not inside.any():
        return NO_MARKS
    found, back = np.unique(mine[inside] << SHIFT | several.names[inside], return_inverse=True)
    counts = np.bincount(back, several.values[inside], len(found)).astype(np.int64)
    return Marks(keys[found >> SHIFT], found & _MASK, counts)


def both(one: Marks, other: Marks) -> Marks:
    """The marks of both, where no key is in both."""
    if not len(one.keys) or not len(other.keys):
        return one if len(one.keys) else other
    keys, labels, counts = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.lexsort((labels, keys))
    return Marks(keys[order], labels[order], counts[order])
