"""Gumbel's distribution of maxima: estimates the level that is exceeded once in a number of blocks.

Gumbel's distribution by maximum likelihood, and the standard error of its return level: Coles, "An
Introduction to Statistical Modeling of Extreme Values", 2001, chapter 3; Kotz, Nadarajah, "Extreme Value
Distributions", 2000, section 1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EULER: Final = 0.5772156649015329
_ROUNDS: Final = 60

Number = TypeVar("Number", float, "NDArray[np.float64]")


def fitted(maxima: NDArray[np.float64]) -> tuple[float, float]:
    """Fit location and scale to at least 2 maxima. Raises ValueError for fewer."""
    if len(maxima) < 2:
        raise ValueError("a Gumbel distribution needs at least 2 maxima")
    mean, least = maxima.mean(), maxima.min()
    width = float(maxima.std()) + 1e-9
    low, high = width * 1e-3, width * 10
    # The likelihood equation has one root, and its left side grows with the scale.
    for _ in range(_ROUNDS):
        scale = (low + high) / 2
        weights = np.exp(-(maxima - least) / scale)
        if scale - mean + (maxima * weights).sum() / weights.sum() > 0:
            high = scale
        else:
            low = scale
    return float(least - scale * np.log(np.exp(-(maxima - least) / scale).mean())), float(scale)


def level(location: Number, scale: Number, blocks: float) -> Number:
    """The level that is exceeded once in this number of blocks (above 1) on average."""
    return location + scale * _reduced(blocks)


def doubt(scale: Number, maxima: Number, blocks: float) -> Number:
    """The standard error of `level`, if this number of maxima was fitted."""
    rest = 1 + _reduced(blocks) - _EULER
    error: Number = scale * ((1 + 6 / np.pi**2 * rest**2) / maxima) ** 0.5
    return error


def _reduced(blocks: float) -> float:
    return -float(np.log(-np.log1p(-1 / max(blocks, 1.001))))
