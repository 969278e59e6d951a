"""Overdispersion: by how much hours deviate more from the expected values than chance explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEW: Final = 24
"""Hours that are needed to estimate it."""
_FAIR: Final = 0.98
_PRIOR: Final = 10
"""Days without extra noise that are added to the known ones, as a prior."""


def dispersion(
    off: NDArray[np.float64], calls: NDArray[np.float64], hours: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Estimate (ρ, δ); None with fewer than FEW hours. The evidence of an hour is divided by their `factor`.

    off: the deviation of each hour in standard deviations, NaN if nothing was expected.
    hours: since 1970, ascending.
    ρ is the correlation of the calls within an hour: chi² of one of n calls is 1 + ρ·n (Pearson's; McCullagh,
    Nelder, "Generalized linear models", 1989, 4.5), of the side above 0 alone, which is the one that alarms.
    δ ≥ 1 is the extra noise that whole days share, by their sums. The worst 2 % of the hours on each side are
    limited to the least of them, so that a past incident does not hide the next one.
    """
    known = np.isfinite(off)
    off, calls, hours = off[known], calls[known], hours[known]
    if len(off) < FEW:
        return None
    ordered, rank = np.sort(off), round(_FAIR * (len(off) - 1))
    off = np.clip(off, min(ordered[-rank - 1], 0.0), max(ordered[rank], 0.0))
    rho = max(0.0, float((2 * np.maximum(off, 0.0) ** 2 - 1).sum() / calls.sum()))
    even = off / np.sqrt(1 + rho * calls)
    day = hours // 24
    starts = np.flatnonzero(np.concatenate(([True], day[1:] != day[:-1])))
    sums = np.add.reduceat(even - even.mean(), starts) ** 2 / np.diff([*starts, len(day)])
    days = (float(sums.sum()) + _PRIOR) / (len(starts) + _PRIOR)
    return rho, max(1.0, days)


def factor(noise: Sequence[float], calls: float) -> float:
    """The factor φ ≥ 1 of an hour with this number of calls.

    >>> factor((0.01, 1.5), 100)
    3.0
    """
    rho, days = noise
    return (1.0 + rho * calls) * days
