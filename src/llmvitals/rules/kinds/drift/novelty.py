"""Weighs calls by how unusual they are: how far they are from all that was learned.

A call's vector is whitened by the scatter of single calls, at length 1 (y). Its novelty is 1 less its
greatest cosine to the centroids of learned calls. Its weight is 0 up to the LOW quantile of the novelty of
usual calls, 1 at the HIGH one, and at most HEAVIEST. A step's mean of weight · y over its distinct calls is
compared as the mean of all vectors is: what is usual adds little to it, so a new topic is seen sooner.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from llmvitals.stats import axes, centroids
from llmvitals.stats.whitening import Whitening, whitening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.stats.axes import Floats

CENTROIDS: Final = 128
FEWEST: Final = 8
"""Centroids without which no call is called unusual."""
LOW: Final = 0.75
HIGH: Final = 0.97
HEAVIEST: Final = 1.5
_BINS: Final = 512
"""Of the novelty, 0 … 2."""


class Novelty(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """What makes a call unusual. calls: the whitening of single calls.

    centroids: see stats.centroids.packed. low, high: the novelty at which the weight is 0 and 1.
    """

    calls: Whitening
    centroids: bytes
    low: float
    high: float

    def of(self, y: Floats) -> NDArray[np.float64]:
        """The novelty of calls (n) by their y (n × d)."""
        nearest = (y @ self._centroids.T).max(axis=1, initial=-1.0)
        far: NDArray[np.float64] = 1.0 - nearest.astype(np.float64)
        return far

    def weighed(self, y: Floats) -> Floats:
        """Weight · y."""
        weight = np.clip((self.of(y) - self.low) / (self.high - self.low), 0.0, HEAVIEST)
        made: Floats = y * weight[:, None].astype(np.float32)
        return made

    def mean(self, y: Floats) -> Floats:
        """The mean (d) of weight · y; 0 without calls."""
        made: Floats = self.weighed(y).sum(axis=0) / np.float32(max(len(y), 1))
        return made

    @cached_property
    def _centroids(self) -> Floats:
        return centroids.unpacked(self.centroids, len(self.calls.mean) // 4)


def gather_axes(state: dict[str, Any], x: Floats) -> None:
    """Add single calls (n × d) to the scatter. State: "count", "mean" (bytes); "axes": see stats.axes."""
    mean = np.frombuffer(state["mean"], "<f8") if "mean" in state else x[0]
    count, scatter = state.get("count", 0), state.setdefault("axes", {})
    for row in x:
        count += 1
        if count > 1:
            axes.gather(scatter, (row - mean) * np.sqrt((count - 1) / count))
        mean = mean + (row - mean) / count
    state.update(count=count, mean=mean.astype("<f8").tobytes())


def call_whitening(state: dict[str, Any]) -> Whitening | None:
    """The whitening of what was gathered; None if all calls were the same, or fewer than FEWEST."""
    scatter = state.get("axes", {})
    if state.get("count", 0) < FEWEST or not scatter["scatter"]:
        return None
    return whitening(np.frombuffer(state["mean"], "<f8"), axes.found(scatter), ridge=1.0)


def count(bins: list[int], novelty: NDArray[np.float64]) -> list[int]:
    """Add to the histogram of the novelty, [] at first."""
    places = np.clip(novelty * (_BINS / 2), 0, _BINS - 1).astype(np.int64)
    total: list[int] = (np.bincount(places, minlength=_BINS) + (bins or 0)).tolist()
    return total


def quantiles(bins: list[int]) -> tuple[float, float]:
    """The LOW and the HIGH quantile of the novelty, at least a bin apart; bins: at least one call."""
    passed = np.cumsum(bins) / sum(bins)
    low, high = (float(np.searchsorted(passed, share) + 0.5) * 2 / _BINS for share in (LOW, HIGH))
    return low, max(high, low + 2 / _BINS)
