"""The calls of a step whose whole vectors are known, without repeats: one user's burst is one call."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.stats.axes import Floats
from llmvitals.stats.centroids import units
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.stats.whitening import Whitening

MOST: Final = 96
"""Whole vectors of a step."""
RECENT: Final = 64
"""Calls that are kept to know repeats, and to name calls."""
ALIKE: Final = 0.8
"""The cosine of whitened vectors above which a call repeats another one, …"""
SAME: Final = 0.95
"""… and that of vectors that are not whitened."""
APART: Final = 5 * MINUTE
"""Calls that are further apart are no repeats."""


class SampledCall(NamedTuple):
    """A call: trace id; x as int8 of any length; event time of its minute's end, µs; source: see moments."""

    trace: str
    x: bytes
    at: int
    source: int = 0


class Distinct(NamedTuple):
    """Distinct calls (n): their unit vectors x (n × d), and y, x whitened at length 1 (n × d)."""

    x: Floats
    y: Floats

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of x; 0 without calls."""
        mean: NDArray[np.float64] = self.x.sum(axis=0, dtype=np.float64) / max(len(self.x), 1)
        return mean


def vectors(calls: Sequence[SampledCall]) -> Floats:
    """The unit vectors x of calls (n × d)."""
    whole = np.frombuffer(b"".join(call.x for call in calls), "i1").reshape(len(calls), -1)
    return units(whole)


def distinct(
    whitening: Whitening | None, before: Sequence[SampledCall], calls: Sequence[SampledCall]
) -> Distinct:
    """The calls, at least one, that repeat none of those before. Without a whitening, y is x."""
    whole = (*before, *calls)
    x = vectors(whole)
    y, times = units(whitening.white(x) if whitening else x), np.array([call.at for call in whole])
    near = y[-len(calls) :] @ y.T > (ALIKE if whitening else SAME)
    near &= np.abs(times[-len(calls) :, None] - times) <= APART
    near &= _earlier(len(before), len(calls))
    first = np.flatnonzero(~near.any(axis=1)) + len(before)
    return Distinct(x[first], y[first])


@lru_cache(maxsize=2 * MOST)
def _earlier(before: int, calls: int) -> NDArray[np.bool_]:
    """For each call which of those before it, and of all calls, are earlier."""
    return np.tri(calls, before + calls, before - 1, dtype=np.bool_)


def recent(state: dict[str, Any]) -> list[SampledCall]:
    """The last calls. State: "recent"; the calls of older versions have no time."""
    calls = state.get("recent", ())
    return [
        call if type(call) is SampledCall else SampledCall(*call[:2], *call[2:] or (0,)) for call in calls
    ]
