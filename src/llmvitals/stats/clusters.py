"""The noise of clusters: how much evidence calls that go wrong together are worth.

The e-process of `eprocess` and the confidence sequence of `confseq` take calls for independent. Calls of one
user or session are not: they fail together, or a user brings more failures than another and stays in one arm.
A tally measures how much more the difference of two arms scatters than it would with independent calls. The
evidence of a rate is then divided by φ, and the variance of a mean replaced by the one that was measured.

A cluster is a session, and sessions are of users. Calls fall into CELLS cells by two hashes, the same in both
arms a (control) and b (canary): that of the user chooses PARTS neighbours, that of the session one of these.
For blocks of time in which arm a has n_a calls and b has n_b, N = n_a + n_b, and k are the events of a rate
(or the sum of values) of a cell or an arm, under the greatest ratio ψ that is no news, p = k / (n_a + ψn_b):

* U of a cell sums (n_a/N)(k − ψp·n) in arm b, −ψ(n_b/N)(k − p·n) in arm a, and W sums the weights
  (n_a/N)·n, ψ(n_b/N)·n. A mean has ψ = 1, and the mean of all values as p.
* R = U − W·ΣU/ΣW in each arm, so that a true difference is no noise; both arms' are added cell by cell, so
  that a session that is in both cancels. V_s = CELLS/(CELLS−1)·ΣR² is the variance of the difference if arms
  were drawn for calls or sessions. V_u is the same of users' cells, each the sum of its PARTS: it holds
  however arms were drawn, also if a user stays in one.
* ν, the degrees of freedom of V, come from how unevenly the calls lie in cells: few users, few degrees. As
  V is itself an estimate, it is raised to where Student's t has the normal's tail at α:
  f(ν) = ν(exp(2L/νκ²) − 1)/2L, κ = (8ν+1)/(8ν+3), L = ln 1/α (Wallace's approximation of t).
* ρ says how far users stay in one arm. With D = W_b − W_a/ψ, the calls that a cell has too many in the
  canary, ρ = Σ D² of users' cells / Σ D² of cells, at least 1. It is about 1 if sessions are drawn, and
  (ν_s + 1)/(ν_u + 1) if users are. What users differ in adds at most ρ times as much to the variance as
  sessions show, and the degrees of freedom shrink alike. So V_c, the variance with clusters, is the smaller
  of f(ν_u)·V_u and f((ν_s + 1)/ρ − 1)·ρ·V_s. Both hold; the first is the better one if users stay.
* V_t sums the squares of what blocks add to U, less their mean: what goes together in time, whoever calls.
* φ_cell = 1 + Σ(k² − k − (n·k_block/N)²)/Σk over the cells of both arms in a block: what fails together
  there. A control with fewer calls than the canary may have had too few bursts to show in V_c and V_t, so
  that those of the canary look like its own; this takes both arms'. Elsewhere it only costs power, and is
  left out.
* φ = max(1, V_c/V, V_t/V, φ_cell), V = Σ (n_a/N)²k_b + ψ²(n_b/N)²k_a, the variance of independent calls.

As φ ≥ 1, the e-value is at most 1 + that of independent calls: exact for these, asymptotic for clusters.

Source: cluster-robust variance, Liang, Zeger, "Longitudinal data analysis using generalized linear models",
1986, and its small-sample factor, Bell, McCaffrey, 2002; that clusters are those for which arms are drawn,
Abadie, Athey, Imbens, Wooldridge, "When should you adjust standard errors for clustering?", 2023; Wallace,
"Bounds on normal approximations to Student's and the chi-square distributions", 1959.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Singles = NDArray[np.float32]

PARTS: Final = 4
"""The cells of a user."""
CELLS: Final = 64 * PARTS
_TINY: Final = 1e-9
_MOST: Final = 0.4
"""φ_cell is used where the canary has more than this share of the calls."""
_STEEP: Final = 50.0
"""The greatest exponent in f; with so few degrees of freedom nothing is seen."""


class Rows(NamedTuple):
    """What a tally compares, a row each.

    null: ψ, the greatest ratio that is no news. rate: 1.0 for a rate, 0.0 for a mean.
    """

    null: Floats
    rate: Floats


class Tally(NamedTuple):
    """Sums over blocks, as bytes, so that they are plain data.

    cells: U, then W, of both arms, control first (2 × 2 × rows × CELLS, float32). blocks (6 × rows): V, the
    squares of what blocks add to U, these times their weight, the squares of the weights, the numerator of
    φ_cell and its denominator, Σk. calls (2 × rows): of each arm.
    """

    cells: bytes
    blocks: bytes
    calls: bytes

    @classmethod
    def empty(cls, rows: int) -> Tally:
        """The tally before any block."""
        return cls(bytes(4 * 2 * 2 * rows * CELLS), bytes(8 * 6 * rows), bytes(8 * 2 * rows))


def grown(tally: Sequence[bytes], rows: int) -> Tally:
    """A tally with so many rows; new ones are empty."""
    size = len(tally[2]) // 16
    if size == rows:
        return Tally(*tally)
    axes = ((2, 2, size, CELLS), np.float32, 2), ((6, size), np.float64, 1), ((2, size), np.float64, 1)
    parts = []
    for data, (shape, kind, axis) in zip(tally, axes, strict=True):
        table = np.frombuffer(data, kind).reshape(shape)
        width = [(0, rows - size if place == axis else 0) for place in range(len(shape))]
        parts.append(np.pad(table, width).tobytes())
    return Tally(*parts)


class Noise(NamedTuple):
    """For each row. clustered: V_c, the variance of the difference by clusters, as U is counted. phi: φ.

    stay: how far users stay in one arm: 0 if sessions are drawn, about 1 if users are. events: Σk.
    """

    clustered: Floats
    phi: Floats
    stay: Floats
    events: Floats


def step(tally: Sequence[bytes], rows: Rows, n: Floats, k: Floats) -> Tally:
    """The tally after a block. n, k (2 × rows × CELLS): calls, and events or sums of values; control first.

    A row without calls in one of the arms is left as it is.
    """
    u, w = _parts(tally)
    calls, sums = n.sum(axis=2), k.sum(axis=2)
    there = np.minimum(calls[0], calls[1]) > 0
    total, k_row = np.maximum(calls.sum(axis=0), _TINY), sums.sum(axis=0)
    g = np.where(there, np.stack((-rows.null * calls[1], calls[0])) / total, 0.0)
    p = k_row / np.maximum(calls[0] + rows.null * calls[1], _TINY)
    expected = np.stack((p, p * rows.null))
    moved = g[:, :, None] * (k - expected[:, :, None] * n)
    added = (g * (sums - expected * calls)).sum(axis=0)
    weight = calls[0] * calls[1] / total
    usual = np.einsum("arc,arc->r", n, n) * (k_row / total) ** 2
    extra = np.einsum("arc,arc->r", k, k) - k_row - usual
    new = np.stack(
        ((g**2 * sums).sum(axis=0), added**2, added * weight, weight**2, extra, k_row),
    )
    cells = np.stack((u + moved, w + np.abs(g)[:, :, None] * n))
    return Tally(
        cells.astype(np.float32).tobytes(),
        (np.frombuffer(tally[1]).reshape(6, -1) + np.where(there, new, 0.0)).tobytes(),
        (np.frombuffer(tally[2]).reshape(2, -1) + np.where(there, calls, 0.0)).tobytes(),
    )


def noise(tally: Sequence[bytes], rows: Rows, alpha: ArrayLike) -> Noise:
    """The noise of each row so far; alpha: the error at which it has to hold, of each row or of all."""
    u, w = _parts(tally).astype(np.float64)
    variance, squares, crossed, weights, extra, events = np.frombuffer(tally[1]).reshape(6, -1)
    calls = np.frombuffer(tally[2]).reshape(2, -1)
    slope = u.sum(axis=2) / np.maximum(w.sum(axis=2), _TINY)
    residual = (u - w * slope[:, :, None]).sum(axis=0)
    share = calls[1] / np.maximum(calls.sum(axis=0), _TINY)
    weight = share[:, None] * w[0] + (1 - share)[:, None] * w[1]
    users, sessions = _evenness(_by_user(weight)), _evenness(weight)
    drawn = w[1] - w[0] / rows.null[:, None]
    rho = np.maximum(_squares(_by_user(drawn)) / np.maximum(_squares(drawn), _TINY), 1.0)
    by_user = _raised(users - 1, alpha) * _variance(_by_user(residual))
    by_session = _raised(sessions / rho - 1, alpha) * rho * _variance(residual)
    clustered = np.minimum(by_user, by_session)
    stay = (rho - 1) / np.maximum(sessions / np.maximum(users, _TINY) - 1, _TINY)
    mean = crossed / np.maximum(weights, _TINY)
    by_time = squares - mean * crossed
    independent = np.maximum(variance, _TINY)
    by_cell = np.where(share > _MOST, 1 + extra / np.maximum(events, 1), 1.0)
    phi = np.maximum.reduce((np.ones(len(share)), clustered / independent, by_time / independent, by_cell))
    phi = np.where(rows.rate > 0, np.where(variance > 0, phi, 1.0), 1.0)
    return Noise(clustered, phi, stay, events)


def _by_user(cells: Floats) -> Floats:
    """The sums of users' cells."""
    sums: Floats = cells.reshape(len(cells), -1, PARTS).sum(axis=2)
    return sums


def _squares(cells: Floats) -> Floats:
    """The sum of squares of each row."""
    sums: Floats = np.einsum("rc,rc->r", cells, cells)
    return sums


def _variance(residual: Floats) -> Floats:
    """The variance of each row's sum, by its cells."""
    cells = residual.shape[1]
    variance: Floats = cells / (cells - 1) * _squares(residual)
    return variance


def _evenness(weight: Floats) -> Floats:
    """How many cells of equal weight would be as even as those of each row."""
    even: Floats = weight.sum(axis=1) ** 2 / np.maximum(_squares(weight), _TINY)
    return even


def _parts(tally: Sequence[bytes]) -> Singles:
    """U and W."""
    return np.frombuffer(tally[0], np.float32).reshape(2, 2, -1, CELLS)


def _raised(freedom: Floats, alpha: ArrayLike) -> Floats:
    """The factor f by which a variance of so many degrees of freedom is raised, at least 1."""
    bits, v = -np.log(alpha), np.maximum(freedom, 1.0)
    kappa = (8 * v + 1) / (8 * v + 3)
    raised: Floats = v * np.expm1(np.minimum(2 * bits / v / kappa**2, _STEEP)) / (2 * bits)
    return raised
