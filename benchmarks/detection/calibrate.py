"""Limits of statistics at one rate of false alarms for all, by extrapolation of their greatest values.

Of each hour the greatest is taken, because what a burst leaves in a window lasts as long as the window. Their
upper fifth is taken as exponential beyond where it begins (as the excesses are of what has a Gumbel limit:
Coles, "An introduction to statistical modeling of extreme values", 2001, ch. 4), and the limit is what is
exceeded in one hour of RUN minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN: Final = 43_200
"""Minutes from one false alarm to the next: a month."""
HOUR: Final = 60


def limit(statistics: NDArray[np.float64]) -> float:
    """That is exceeded once in RUN minutes. NaN: minutes at which nobody looked."""
    cut = len(statistics) // HOUR * HOUR
    tops = np.sort(np.nanmax(statistics[:cut].reshape(-1, HOUR), axis=1))
    most = min(max(5, len(tops) // 5), len(tops) - 1)
    begin = tops[-most - 1]
    excess = float((tops[-most:] - begin).mean())
    return float(begin) + excess * float(np.log(most / len(tops) * RUN / HOUR))


def alarms(beyond: NDArray[np.bool_]) -> int:
    """How many alarms: one that lasts, or comes again within the hour, is told once an hour."""
    count, until = 0, -1
    for at in np.flatnonzero(beyond):
        if at >= until:
            count, until = count + 1, int(at) + HOUR
    return count
