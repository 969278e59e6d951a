"""An e-process for whether an event is more frequent in one arm than in another, valid at any time.

In a step (a minute) arms a (control) and b (canary) have n calls each, of which k are events (errors, say).
Given all k = k_a + k_b of them, and if b's rate is ψ times a's, each is b's with the chance
θ(ψ) = ψπ / (1 − π + ψπ), π = n_b / (n_a + n_b); so a step's log-likelihood ratio of ψ against 1 is
k_b·ln ψ − k·ln(1 − π + ψπ). Its exponential has a mean of at most 1 when ψ ≤ 1, also for calls that are
Bernoulli trials (as 1 + x ≤ eˣ), whatever the rate was in that step: what both arms share, such as outages
and daily cycles, cancels. So the average over RATIOS, by SHARES, of the products over all steps is an
e-process: by Ville's inequality it ever reaches 1/α with a chance of at most α. A step in which an arm is
empty adds 0.

Calls of one arm that fail together (the retries of one session) are no independent trials: their evidence is
divided by the φ of `clusters`.

Source: Wald, "Sequential Analysis", 1947; Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe
anytime-valid inference", 2023, for mixtures, and for intervals by inverting tests.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

RATIOS: Final = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
"""The alternatives: the ratio of b's rate to a's."""
SHARES: Final = (0.1, 0.15, 0.2, 0.3, 0.15, 0.1)
"""The weight of each alternative in the e-value. A doubled rate has the most."""
_FINE: Final = 6
_GRID: Final = tuple(2 ** (place / _FINE) for place in range(-2 * _FINE, 4 * _FINE + 1))
"""The possible limits of an interval: ratios from 1/4 to 16, 12 % apart."""
_SEEN: Final = np.exp(np.arange(1, 232) * 0.02)
"""The ratios that `smallest_ratio` tries, over null: 1.02, 1.04 … 100."""
_AWAY: Final = (1, 2, 4, 6, 10, 14)
"""The alternatives to a ratio of the grid, in places of the grid: about RATIOS."""


@cache
def points(null: float = 1.0) -> Floats:
    """The ratios at which a state knows the log-likelihood: null, its alternatives, and the grid."""
    return np.array([null, *(null * ratio for ratio in RATIOS), *_GRID])


def fresh(rates: int = 1) -> Floats:
    """The state before any step: log-likelihoods, a row for each rate that is compared, a column a point."""
    return np.zeros((rates, len(points())))


def step(state: Floats, n: ArrayLike, k: ArrayLike, null: float = 1.0) -> Floats:
    """The state after a step.

    n, k: calls and events, of shape (2, rates) or (2,) for one rate: control first; k ≤ n. null: the greatest
    ratio that is no news (1: any worsening is), the same in all steps.

    >>> state = fresh()
    >>> for minute in range(60):
    ...     state = step(state, (200, 5), (4, 1))
    >>> round(float(evidence(state)[0]), 1)  # the log of the e-value
    66.3
    """
    calls = np.asarray(n, float).reshape(2, -1)[:, :, None]
    events = np.asarray(k, float).reshape(2, -1)[:, :, None]
    there = (calls > 0).all(axis=0)
    share = np.where(there, calls[1] / np.maximum(calls.sum(axis=0), 1), 0.5)
    at = points(null)
    gain = events[1] * np.log(at) - events.sum(axis=0) * np.log1p(share * (at - 1))
    return state + np.where(there, gain, 0.0)


def evidence(state: Floats) -> Floats:
    """The natural log of the e-value against "b's rate is at most null times a's", for each rate."""
    return _mean(state[:, 1 : 1 + len(RATIOS)] - state[:, :1])


def limits(row: Floats, alpha: float) -> tuple[float | None, float | None]:
    """Limits of the ratio of b's rate to a's, each wrong at any time with a chance of at most alpha.

    row: of a state. A limit is the last of the grid's ratios, counted from its end, of which each is
    rejected: so "above it" is wrong only if the first of the grid at or above the truth was rejected.
    None: not even the end is rejected.
    """
    (found,) = all_limits(row[None], [alpha])
    return found


def all_limits(state: Floats, alphas: ArrayLike) -> list[tuple[float | None, float | None]]:
    """`limits` of every row, each with its alpha."""
    logs, bars = state[:, 1 + len(RATIOS) :], -np.log(np.asarray(alphas, float))
    above, below = (_first(logs, places, bars) for places in _others())
    return [
        (_GRID[up - 1] if up else None, _GRID[-down] if down else None)
        for up, down in zip(above, below, strict=True)
    ]


def smallest_ratio(
    n: Floats, rate: Floats, bar: Floats, null: float = 1.0, *, most: ArrayLike = np.inf
) -> Floats:
    """The smallest ratio of each rate that is told from null with these calls; ∞: none up to 100.

    n (2 × rates): calls of both arms, control first. rate: events of a call at ratio 1. bar: φ·ln 1/α. most:
    the greatest ratio that is possible. A ratio is told when the expected log of the e-value reaches the bar:
    K calls are events, of which b's share is θ(ψ), and each brings KL(θ(ψ) ‖ θ(null)) in the mean.
    """
    ratio = null * _SEEN[:, None]
    events = rate * (n[0] + ratio * n[1])
    theta, base = ratio * n[1] / (n[0] + ratio * n[1]), null * n[1] / (n[0] + null * n[1])
    gain = theta * np.log(theta / base) + (1 - theta) * np.log((1 - theta) / (1 - base))
    told = (events * gain >= bar) & (ratio <= most)
    return np.where(told.any(axis=0), ratio[told.argmax(axis=0), 0], np.inf)


def averaged(logs: Sequence[float]) -> float:
    """The log of the mean of e-values, given by their logs: an e-value too."""
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))


@cache
def _others() -> tuple[tuple[Ints, Ints, Floats], ...]:
    """Upwards and downwards: the grid's places but for the last, their alternatives, and the logs of shares.

    An alternative beyond the grid has no share.
    """
    directions = []
    for places, way in ((np.arange(len(_GRID) - 1), 1), (np.arange(len(_GRID) - 1, 0, -1), -1)):
        others = places[:, None] + way * np.array(_AWAY)
        there = (others >= 0) & (others < len(_GRID))
        with np.errstate(divide="ignore"):
            shares = np.log(there / there.sum(axis=1, keepdims=True))
        directions.append((places, np.where(there, others, 0), shares))
    return tuple(directions)


def _first(logs: Floats, at: tuple[Ints, Ints, Floats], bars: Floats) -> list[int]:
    """How many places are rejected in each row, counted from the first up to one that is not."""
    places, others, shares = at
    gain = logs[:, others] - logs[:, places, None] + shares
    top = gain.max(axis=2, keepdims=True)
    rejected = top[:, :, 0] + np.log(np.exp(gain - top).sum(axis=2)) >= bars[:, None]
    firsts: list[int] = np.where(rejected.all(axis=1), len(places), rejected.argmin(axis=1)).tolist()
    return firsts


def _mean(logs: Floats) -> Floats:
    top = logs.max(axis=1)
    mean: Floats = top + np.log(np.exp(logs - top[:, None]) @ np.array(SHARES))
    return mean
