"""Whitens the means of minutes, with a ridge: the length of the result says how unusual a mean is."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.stats.axes import Axes, Floats

RIDGE: Final = 0.1


class Whitening(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """y = (Σ + λ)^(-1/2)·(mean - mean_ref), Σ the covariance of √n·mean, λ its mean eigenvalue times a share.

    Of Σ are kept the greatest axes, and along all others the mean of what is left. So
    y = rest·(u + Σᵢ gainᵢ·⟨axisᵢ, u⟩·axisᵢ). mean (d) and gains (k): float32, axes (k × d): int8.
    season: how far each hour of the week is from the mean along the axes (hours × k, float32), b"" where no
    week was learned.
    """

    mean: bytes
    axes: bytes
    gains: bytes
    rest: float
    season: bytes = b""

    def white(self, means: NDArray[np.floating], hour: int | None = None) -> Floats:
        """The y (… × d, float32) of means (… × d, at the scale of the reference's); hour: of the week."""
        apart, axes = means.astype(np.float32) - self._mean, self._directions
        if self.season and hour is not None:
            apart -= np.frombuffer(self.season, "<f4").reshape(-1, len(axes))[hour] @ axes
        along = (apart @ axes.T) * np.frombuffer(self.gains, "<f4")
        white: Floats = (apart + along @ axes) * np.float32(self.rest)
        return white

    def alike(self, means: NDArray[np.floating]) -> Floats:
        """How much further than the reference a mean (d) lies along its mean; more if calls are alike."""
        mean = self._mean
        out = (means.astype(np.float32) - mean) @ mean / max(float(np.sqrt(mean @ mean)), 1e-9)
        return np.array([out], np.float32)

    @cached_property
    def _mean(self) -> Floats:
        return np.frombuffer(self.mean, "<f4")

    @cached_property
    def _directions(self) -> Floats:
        return np.frombuffer(self.axes, "i1").reshape(-1, len(self._mean)).astype(np.float32)


def whitening(
    mean: NDArray[np.floating],
    axes: Axes,
    season: NDArray[np.floating] | None = None,
    *,
    ridge: float = RIDGE,
) -> Whitening:
    """Make a whitening of the mean and the axes of the scatter of √n·mean. season: see Whitening.

    ridge: λ in mean eigenvalues.
    """
    width, kept = axes.directions.shape[1], len(axes.directions)
    added = (axes.variances.sum() + axes.rest * (width - kept)) / width * ridge or 1.0
    rest = 1 / np.sqrt(added + axes.rest)
    gains = 1 / np.sqrt(added + axes.variances) / rest - 1
    sizes = np.abs(axes.directions).max(axis=1) / 127
    whole = np.rint(axes.directions / sizes[:, None]).astype("i1")
    return Whitening(
        mean.astype("<f4").tobytes(),
        whole.tobytes(),
        (gains * sizes**2).astype("<f4").tobytes(),
        float(rest),
        b"" if season is None else (season * sizes).astype("<f4").tobytes(),
    )
