"""The weekly profile: how far the mean of each hour of the week is from the overall mean.

It is kept along the main axes only, because in other directions the mean of an hour is noise. An hour with n
minutes has the weight n/(n + DOUBT), as in an empirical Bayes estimate (Efron, Morris, "Stein's paradox
in statistics", 1977).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HOURS: Final = 168
WEEK: Final = HOURS * HOUR // MINUTE
"""Minutes that have to be learned for a weekly profile."""
DOUBT: Final = 30
"""The minutes at which an hour has half of its weight."""


def hour(end: int) -> int:
    """The hour of the week of a minute that ends at `end` (µs): 0 … 167, UTC, from a Thursday on."""
    return (end - 1) // HOUR % HOURS


def gather(state: dict[str, Any], end: int, means: Sequence[NDArray[np.float64]]) -> None:
    """Add a step's means, of x and of z. State: "hours": hour as text → steps and the sums of means."""
    hours = state.setdefault("hours", {})
    steps, *sums = hours.get(str(hour(end)), (0, *(bytes(4 * len(mean)) for mean in means)))
    added = (np.frombuffer(total, "<f4") + mean for total, mean in zip(sums, means, strict=True))
    hours[str(hour(end))] = [steps + 1, *(total.astype("<f4").tobytes() for total in added)]


def season(
    state: dict[str, Any], head: int, mean: NDArray[np.floating], directions: NDArray[np.floating]
) -> NDArray[np.float64]:
    """How far each hour is from the mean along the directions (k × d): HOURS × k; head: 0 of x, 1 of z."""
    found = np.zeros((HOURS, len(directions)))
    for name, (steps, *sums) in state["hours"].items():
        apart = np.frombuffer(sums[head], "<f4") / steps - mean
        found[int(name)] = directions @ apart * steps / (steps + DOUBT)
    return found
