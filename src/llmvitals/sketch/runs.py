"""Runs of equal values in sorted columns."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def run_starts(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Where runs begin: where any of the columns, of the same length, has another value than before.

    >>> run_starts(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 6])).tolist()
    [0, 2, 3]
    """
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new.nonzero()[0]


def runs(column: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run.

    >>> list(runs(np.array([7, 7, 3])))
    [(0, 2), (2, 3)]
    """
    return pairwise([*run_starts(column).tolist(), len(column)])
