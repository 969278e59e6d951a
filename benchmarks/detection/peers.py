"""What people use today, by its published definition: a statistic of a window of minutes against a reference.

centroid: Euclidean distance of the means (Arize, Phoenix: "embedding drift"). mmd: the unbiased squared
maximum mean discrepancy with a Gaussian kernel, γ = 1/median² (Evidently's `mmd`). classifier: ROC AUC of a
linear model that tells the window from the reference, on the half it was not fitted to (Evidently's `model`).

Generous to them: each gets windows of several lengths, and those which found a change first are shown; mmd
sees up to SAMPLE calls of a window and as many again of the reference, where a batch tool draws once; the
linear model is ridge regression, solved exactly, instead of stochastic gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SAMPLE: Final = 1_024


class Peer(Protocol):
    """name: in the table. window: minutes. every: minutes between looks. fixed: its usual limit."""

    name: str
    window: int
    every: int
    fixed: float

    def statistics(self, minutes: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Of the window ending with each minute, from minute `window − 1` on; NaN where it does not look."""


class Centroid:
    """Distance of the means."""

    name, every, fixed = "centroid", 1, 0.2

    def __init__(
        self, vectors: NDArray[np.float32], reference: Sequence[NDArray[np.int64]], window: int
    ) -> None:
        self.window, self._vectors = window, vectors
        self._mean = vectors[np.concatenate(reference)].mean(axis=0, dtype=np.float64)

    def statistics(self, minutes: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """|mean of the window − mean of the reference|."""
        sums = _running(
            np.array([self._vectors[rows].sum(axis=0, dtype=np.float64) for rows in minutes]), self.window
        )
        counts = _running(np.array([float(len(rows)) for rows in minutes]), self.window)
        distances: NDArray[np.float64] = np.linalg.norm(sums / counts[:, None] - self._mean, axis=1)
        return distances


class Mmd:
    """MMD², unbiased."""

    name, every, fixed = "mmd", 1, 0.015

    def __init__(
        self, vectors: NDArray[np.float32], reference: Sequence[NDArray[np.int64]], window: int
    ) -> None:
        self.window, self._vectors, self._most = window, vectors, -(-SAMPLE // window)
        dice = np.random.default_rng(window)
        rows = np.concatenate(reference)
        chosen = vectors[dice.choice(rows, min(SAMPLE, len(rows)), replace=False)]
        squares = _distances(chosen, chosen)
        above = squares[np.triu_indices(len(chosen), 1)]
        self._gamma = np.float32(1 / max(float(np.median(above)), 1e-6))
        self._within = float(np.exp(-self._gamma * above).mean())
        self._between = np.concatenate(
            [self._kernel(part, chosen).mean(axis=1) for part in np.array_split(vectors, 50) if len(part)]
        )

    def statistics(self, minutes: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Mean of k in the window, less twice that to the reference, plus that in the reference."""
        cut = [rows[: self._most] for rows in minutes]
        found = [self._blocks(cut, at) for at in range(len(cut))]
        apart = []
        for at in range(self.window - 1, len(cut)):
            start = at - self.window + 1
            inside = sum(sum(found[n][: n - start + 1]) for n in range(start, at + 1))
            rows = np.concatenate(cut[start : at + 1])
            pairs = max(len(rows) * (len(rows) - 1), 1)
            apart.append(inside / pairs - 2 * self._between[rows].mean() + self._within)
        return np.array(apart)

    def _blocks(self, cut: list[NDArray[np.int64]], at: int) -> list[float]:
        """Sums of k between a minute's calls and those of each minute back from it, without a call itself."""
        mine = self._vectors[cut[at]]
        start = max(0, at - self.window + 1)
        kernel = self._kernel(mine, self._vectors[np.concatenate(cut[start : at + 1])]).sum(axis=0)
        ends = np.cumsum([len(rows) for rows in cut[start : at + 1]])
        sums = np.diff(np.concatenate([[0.0], np.cumsum(kernel, dtype=np.float64)])[np.append(0, ends)])
        return [float(sums[-1]) - len(mine), *(2 * float(each) for each in sums[-2::-1])]

    def _kernel(self, some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
        squares = _distances(some, others)
        squares *= -self._gamma
        return np.exp(squares, out=squares)


class Classifier:
    """ROC AUC of a linear model."""

    name, every, fixed = "classifier", 4, 0.55

    def __init__(
        self, vectors: NDArray[np.float32], reference: Sequence[NDArray[np.int64]], window: int
    ) -> None:
        self.window, self._vectors = window, vectors
        dice = np.random.default_rng(window)
        rows = np.concatenate(reference)
        chosen = vectors[dice.choice(rows, min(4 * SAMPLE, len(rows)), replace=False)]
        self._fitted, self._held = chosen[::2], chosen[1::2]
        self._mean = self._fitted.mean(axis=0)
        centred = self._fitted - self._mean
        self._scatter = centred.T @ centred / len(centred)
        self._ridge = np.eye(vectors.shape[1], dtype=np.float32) * (np.trace(self._scatter) / len(self._mean))

    def statistics(self, minutes: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """The area under the curve, at every fourth minute."""
        found = np.full(len(minutes) - self.window + 1, np.nan)
        for at in range(0, len(found), self.every):
            found[at] = self._area(self._vectors[np.concatenate(minutes[at : at + self.window])])
        return found

    def _area(self, now: NDArray[np.float32]) -> float:
        fitted, held = now[::2], now[1::2]
        mean = fitted.mean(axis=0)
        centred = fitted - mean
        scatter = (self._scatter + centred.T @ centred / len(centred)) / 2
        # Fisher's direction: what least squares on the two labels comes to, both weighing the same.
        weights = np.linalg.solve(scatter + self._ridge, mean - self._mean)
        return area(held @ weights, self._held @ weights)


def area(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    """The share of pairs in which the positive one is greater; ties count half."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left") + np.searchsorted(order, positive, "right")
    return float(below.mean() / 2 / len(order))


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared, of each to each."""
    squares = -2 * (some @ others.T)
    squares += np.einsum("ij,ij->i", some, some)[:, None]
    squares += np.einsum("ij,ij->i", others, others)
    return np.maximum(squares, 0, out=squares)


def _running(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Sums of so many in a row."""
    sums = np.cumsum(values, axis=0)
    sums[window:] -= sums[:-window].copy()
    return sums[window - 1 :]


def peers(vectors: NDArray[np.float32], reference: Sequence[NDArray[np.int64]]) -> list[Peer]:
    """All of them, against a reference."""
    return [
        *(Centroid(vectors, reference, window) for window in (1, 4, 16, 64, 128)),
        *(Mmd(vectors, reference, window) for window in (16, 64, 128)),
        *(Classifier(vectors, reference, window) for window in (16, 64, 128)),
    ]
