"""The calls of a step whose whole vectors are known, without repeats: one user's burst is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from llmvitals.stats.centroids import units
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmvitals.stats.axes import Floats
    from llmvitals.stats.whitening import Whitening

RECENT: Final = 64
"""Calls that are kept to know repeats, and to name calls."""
ALIKE: Final = 0.8
"""The cosine of whitened vectors above which a call repeats another one."""
APART: Final = 5 * MINUTE
"""Calls that are further apart are no repeats."""


class SeenCall(NamedTuple):
    """A call: trace id; x as int8 of any length; event time of its minute's end, µs."""

    trace: str
    x: bytes
    at: int


def vectors(calls: Sequence[SeenCall]) -> NDArray[np.float64]:
    """The unit vectors x of calls (n × d)."""
    whole = np.frombuffer(b"".join(call.x for call in calls), "i1").reshape(len(calls), -1)
    return units(whole).astype(np.float64)


def whitened(calls: Sequence[SeenCall], whitening: Whitening) -> Floats:
    """Their y at length 1."""
    return units(whitening.white(vectors(calls)))


def distinct(y: Floats, times: NDArray[np.int64], new: int) -> NDArray[np.bool_]:
    """Which of the last `new` of the unit vectors y (n × d) repeat none before; times (n): µs."""
    near = y[-new:] @ y.T > ALIKE
    near &= np.abs(times[-new:, None] - times) <= APART
    first: NDArray[np.bool_] = np.logical_not(np.tril(near, len(y) - new - 1).any(axis=1))
    return first


def recent(state: dict[str, Any]) -> list[SeenCall]:
    """The last calls. State: "recent"; the calls of older versions have no time."""
    return [SeenCall(call[0], call[1], call[2] if len(call) > 2 else 0) for call in state.get("recent", ())]
