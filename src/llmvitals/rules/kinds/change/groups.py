"""How many calls come together in a share, so that a single session or user is no change of it.

Calls that fail come in groups: a session whose every second call fails, a user whose prompts are refused. The
noise of minutes does not show it if such groups are rare. So the calls that count are summed up in blocks of
rows, and their index of dispersion (variance over mean) is the size of a group: of calls that count one by
one it is 1, of groups the mean size that one of their calls finds itself in. Source: Cox, Lewis, "The
Statistical Analysis of Series of Events", 1966, section 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BLOCK: Final = 10
"""Rows of a block; a group lasts no longer."""
GROUPS: Final = 8
"""The least number of groups that a change of a share consists of."""
_SIZE: Final = 5.0
"""The assumed size of a group at first, which counts as much as _PRIOR calls."""
_PRIOR: Final = 20.0
_LONGEST: Final = 1_000
"""Blocks that are remembered, about: as many as a month has at 3,000 calls a day."""
NEW: Final = (0.0, 0.0, 0.0, 0.0, 0)
"""What is known of a share at first: see `learned`."""


def learned(entry: Sequence[float], counts: NDArray[np.float64]) -> list[float]:
    """Add the calls that count of further rows.

    entry: the number of blocks, the sum of their counts, the sum of the squares, the count and the rows of
    the block that is not complete.
    """
    blocks, total, squares, count, rows = entry
    for one in counts.tolist():
        count, rows = count + one, rows + 1
        if rows == BLOCK:
            kept = 1 - 1 / _LONGEST if blocks >= _LONGEST else 1.0
            blocks, total, squares = blocks * kept + 1, total * kept + count, squares * kept + count**2
            count, rows = 0.0, 0
    return [blocks, total, squares, count, rows]


def least(entry: Sequence[float]) -> float:
    """The least number of calls that a change of the share consists of."""
    blocks, total, squares = entry[:3]
    apart = max(squares - total**2 / max(blocks, 1.0), 0.0)
    return GROUPS * max((_PRIOR * _SIZE + apart) / (_PRIOR + total), 1.0)


def moved(shares: NDArray[np.float64], calls: NDArray[np.float64], first: int) -> float:
    """The number of calls that a change of a share consists of; first: the first row (of n) after it."""
    before, after = calls[:first].sum(), calls[first:].sum()
    apart = (shares[:first] * calls[:first]).sum() / before - (shares[first:] * calls[first:]).sum() / after
    return float(abs(apart) * min(before, after))
