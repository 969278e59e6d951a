"""Finds whether and where numbers have changed, with river's ADWIN and PageHinkley.

Both promise a rate of false alarms for independent values, and the minutes of calls are not independent. So
they are given values in units of a deviation that grows with the autocorrelation (see `deviation`); no value
counts for more than CLIPPED deviations; and a change is reported only where the two sides differ by more than
a margin and by more than such numbers do by chance in the run that is asked for. This is a heuristic whose
rate is measured, not proven. Sources: Bifet, Gavaldà, "Learning from time-changing data with adaptive
windowing", SDM 2007; Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BEFORE: Final = 30
"""The least number of values before a change. With fewer, the end of an outage would be a change, too."""
SIDE: Final = 5
"""The least number of values after a change."""
LEAST: Final = BEFORE + SIDE
"""The least number of values for a search."""
CLIPPED: Final = 4.0
"""Values are clipped to this many deviations, so that a single spike is no change."""
ALLOWANCE: Final = 0.5
"""The shift that PageHinkley tolerates, in deviations."""
USUAL: Final = 1.55
"""The mean of the greatest distance of two sides for independent normal values, by simulation."""
STEEP: Final = 2
"""The exponent with which the limit grows with the usual distance; extremes grow faster than means."""
_LENGTHS: Final = (5, 10)
_LARGE: Final = 0.6
_NORMAL: Final = 0.8416 * math.sqrt(2)
"""The quantile _LARGE of the distance of two independent normal values, in their deviation."""


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for change points. run: the mean number of values of a metric until a false alarm."""

    run: float

    @property
    def limit(self) -> float:
        """The least distance of both sides, in deviations of their distance.

        A normal value exceeds it once in twice the run, because there are two detectors.
        """
        return math.sqrt(2 * math.log(2 * self.run))

    def places(
        self, values: Floats, usual: Floats, margin: Callable[[Floats], Floats]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Of m columns (n values, oldest first) each one's first value after its change, 0 if there is none.

        And how far apart two sides of it are at most. usual: the mean of that so far: where it is more than
        USUAL, these numbers go far by themselves, and the limit is higher. margin: of the columns' medians,
        what a change has to exceed, in the values' unit; asked only where sides are that far apart.
        """
        found, count = np.zeros(values.shape[1], np.int64), len(values)
        if count < LEAST:
            return found, np.zeros(values.shape[1])
        wide = deviation(values)
        # Equal values have no deviation, and no change.
        wide[wide == 0] = np.inf
        middle = _ranked(values, (count - 1) // 2, count // 2).mean(0)
        scaled = np.minimum(np.maximum((values - middle) / wide, -CLIPPED), CLIPPED)
        before = np.arange(BEFORE, count - SIDE + 1, dtype=np.float64)[:, None]
        weight = np.sqrt(before * (count - before) / count)
        apart = _sides(scaled, before) / weight
        best, columns = np.argmax(apart, 0), np.arange(values.shape[1])
        widest = apart[best, columns]
        limits = self.limit * np.maximum(1, usual / USUAL) ** STEEP
        if (far := np.flatnonzero(widest > limits)).size:
            whole, root = _sides(values[:, far], before)[best[far], np.arange(far.size)], weight[best[far], 0]
            beyond = (whole / root - margin(middle)[far] * root) / wide[far]
            for column in far[beyond > limits[far]].tolist():
                place = BEFORE + int(best[column])
                if self.last_detection(scaled[:, column].tolist()) >= place:
                    found[column] = place
        return found, widest

    def last_detection(self, values: list[float]) -> int:
        """The last value at which one of river's detectors reports a change; -1: none."""
        from river import drift  # noqa: PLC0415  # takes a second, so only a search imports it

        # A walk with a mean step of -ALLOWANCE reaches h once in exp(2·ALLOWANCE·h) steps.
        height = math.log(2 * self.run) / (2 * ALLOWANCE)
        river: Any = drift  # Its detectors have no types.
        windows = river.ADWIN(delta=1 / (2 * self.run), clock=1)
        page = river.PageHinkley(min_instances=SIDE, delta=ALLOWANCE, threshold=height, alpha=1.0)
        last = -1
        for place, value in enumerate(values):
            windows.update(value)
            page.update(value)
            if windows.drift_detected or page.drift_detected:
                last = place
        return last


def _sides(values: Floats, before: Floats) -> Floats:
    """Mean before minus mean after, times both numbers over their sum: for each split (row) and column."""
    sums, count = np.cumsum(values, 0), len(values)
    sides: Floats = np.abs(sums[BEFORE - 1 : count - SIDE] - sums[-1] * (before / count))
    return sides


def _ranked(values: Floats, *ranks: int) -> Floats:
    """The values at these ranks of each column."""
    return np.partition(values, ranks, axis=0)[list(ranks)]


def deviation(values: Floats) -> Floats:
    """The deviation of each column (n values) about a mean that may jump once, from neighbouring values.

    If values are autocorrelated or rising, means of 5 and of 10 values differ more than those of independent
    values; the greatest of the three counts. A jump affects few of the distances, so a quantile of them is
    used.
    """
    steps = np.diff(values, axis=0)
    found: Floats = np.sqrt(np.mean(steps * steps, 0) / 2)
    sums = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, 0)))
    for length in _LENGTHS:
        means = (sums[length:] - sums[:-length]) / length
        apart = np.abs(means[length:] - means[:-length])
        large = _ranked(apart, int(_LARGE * len(apart)))[0]
        found = np.maximum(found, large * (math.sqrt(length) / _NORMAL))
    return found
