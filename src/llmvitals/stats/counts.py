"""Evidence that counts of rare calls have become larger or smaller, where hours differ and storms occur.

Likelihood ratio of negative binomials (a Poisson count whose rate has a gamma distribution): Hilbe, "Negative
Binomial Regression", 2011, chapter 8. Limiting what one short span may say: Tukey's winsorising.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATIOS: Final = (1.1, 1.25, 1.5, 2.5, 5.0)
"""The ratios to the expected count that are tested."""
NOISES: Final = (0.0025, 0.01, 0.05, 0.2)
"""Squared coefficients of variation of the rate of a block: hours that differ by 5 %, 10 %, 22 % and 45 %."""
RARE: Final = 1e-3
_RATIO: Final = np.repeat(RATIOS, len(NOISES))
_NOISE: Final = np.tile(NOISES, len(RATIOS))
_LOG_RISE, _NOISE_RISE = np.log(_RATIO), _NOISE * _RATIO
_LOG_FALL, _NOISE_FALL = np.log(1 / _RATIO), _NOISE * (1 / _RATIO)


def log_ratios(count: float, expected: float, *, fall: bool = False) -> NDArray[np.float64]:
    """The log likelihood ratio of each (ratio, noise), noises innermost, against the expected count.

    fall: of the count being smaller by these ratios.
    """
    if not count and not expected:
        return np.zeros(len(_RATIO))
    log_ratio, changed = (_LOG_FALL, _NOISE_FALL) if fall else (_LOG_RISE, _NOISE_RISE)
    rest = np.log((1 + _NOISE * expected) / (1 + changed * expected))
    logs: NDArray[np.float64] = count * (log_ratio + rest) + rest / _NOISE
    return logs


def highest(expected: float) -> float:
    """The count that a short span is limited to: one that chance passes once in 1,000, or twice the expected.

    >>> highest(0.36), highest(100.0)
    (4.0, 200.0)
    """
    if expected > 12:
        return 2 * expected
    count, term = 0, math.exp(-expected)
    below = term
    while 1 - below >= RARE:
        count += 1
        term *= expected / count
        below += term
    return max(count + 1.0, 2 * expected)


def lowest(expected: float) -> float:
    """The same for a count that is lower than expected.

    >>> lowest(5), lowest(100)
    (0.0, 50.0)
    """
    return max(0.0, min(expected - 3.1 * math.sqrt(expected), expected / 2))
