"""A step: one or more minutes of calls that are read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.rules.kinds.drift import weekly_profile as weekly
from llmvitals.rules.kinds.drift.sources import NONE, Crowding
from llmvitals.sketch.random_features import NORM, UNIT

if TYPE_CHECKING:
    from llmvitals.rules.kinds.drift.calls import Distinct, SampledCall
    from llmvitals.sketch.moments import Moments

Look = tuple[float, NDArray[np.float64]]
"""What its calls weigh, and the mean of their vectors (d)."""
Looks = tuple[Look, Look]
"""Of x and of z."""


class Step(NamedTuple):
    """One or more minutes that are read at once.

    end: event time, µs. minutes: how many. calls: those whose whole vectors are known. crowding: see sources.
    """

    end: int
    minutes: int
    moments: Moments
    calls: tuple[SampledCall, ...] = ()
    crowding: Crowding = NONE

    @property
    def hour(self) -> int:
        """Of the week."""
        return weekly.hour(self.end)

    def looks(self, seen: Distinct | None, weight: float = 1) -> Looks:
        """What the calls weigh and the means, of x and of z; of x of the distinct calls if they are given.

        weight: of a single call.
        """
        count, (x, z) = self.moments.count, self.moments.sums()
        topics = (weight * count, x / (count * NORM)) if seen is None else (weight * len(seen.x), seen.mean)
        return topics, (weight * count, z / (count * UNIT))
