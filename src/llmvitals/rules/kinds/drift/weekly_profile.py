"""The weekly profile: how far the mean of each hour of the week is from the overall mean.

Where a week and more is learned, it is part of the reference: `season`. It is kept along the main axes only,
because in other directions the mean of an hour is noise. An hour with n minutes has the weight n/(n + DOUBT),
as in an empirical Bayes estimate (Efron, Morris, "Stein's paradox in statistics", 1977). Where less is
learned, each unknown hour is added when it has passed: `add_hour`.
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
DOUBT: Final = 10
"""The minutes at which an hour has half of its weight."""
WORKING: Final = (*range(108, HOURS), *range(34))
"""The hours that are in the working week of every time zone: Monday 12:00 to Friday 10:00 UTC."""
RANK: Final = 8
"""Directions in which hours are told apart."""


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


def with_hour(seen: bytes, number: int) -> bytes:
    """The set of hours of the week, a bit for each, and another one. seen: b"" for none."""
    bits = bytearray(seen or bytes(HOURS // 8))
    bits[number // 8] |= 1 << number % 8
    return bytes(bits)


def known(seen: bytes, number: int) -> bool:
    """Whether calls of this hour of the week were learned, or of a like one; seen: b"" knows all.

    Hours that are in the working week of every time zone are alike. Of the others, each stands for itself,
    because nobody says where the weekend of these calls begins.
    """
    if not seen:
        return True
    if seen[number // 8] >> number % 8 & 1:
        return True
    return number in WORKING and any(seen[other // 8] >> other % 8 & 1 for other in WORKING)


def add_hour(profile: dict[str, Any], number: int, count: int, mean: NDArray[np.floating]) -> None:
    """Add an hour: how far (d) its mean is from the overall one; count: calls that say it.

    State, {} at first: "numbers": of the hours; "calls"; "shares" (hours × RANK) of "directions" (RANK × d),
    float16: the best approximation of so few (Eckart, Young, Psychometrika 1936), which also leaves out most
    of the noise of single hours.
    """
    rows = np.vstack([_rows(profile, len(mean)), mean])
    directions = np.linalg.svd(rows, full_matrices=False)[2][:RANK]
    profile["shares"] = (rows @ directions.T).astype("<f2").tobytes()
    profile["directions"] = directions.astype("<f2").tobytes()
    profile["numbers"] = [*profile.get("numbers", ()), number]
    profile["calls"] = [*profile.get("calls", ()), count]


def added(profile: dict[str, Any], number: int) -> bool:
    """Whether the hour was added."""
    return number in profile.get("numbers", ())


def unsure(profile: dict[str, Any], number: int) -> float:
    """The variance of an added hour's mean, relative to that of a single independent call.

    It is 1/n of its n calls, but RANK directions keep no more than about twice their share of the noise of
    all hours (the upper edge of Marchenko, Pastur, Math. USSR-Sbornik 1967).
    """
    numbers = profile["numbers"]
    calls = max(profile["calls"][numbers.index(number)], 1)
    return min(2 * RANK / len(numbers), 1.0) / float(calls)


def apart(profile: dict[str, Any], number: int, width: int) -> NDArray[np.float64]:
    """How far (d) an added hour is from the mean."""
    mean: NDArray[np.float64] = _rows(profile, width)[profile["numbers"].index(number)]
    return mean


def _rows(profile: dict[str, Any], width: int) -> NDArray[np.float64]:
    directions = np.frombuffer(profile.get("directions", b""), "<f2").astype(float).reshape(-1, width)
    shares = np.frombuffer(profile.get("shares", b""), "<f2").astype(float)
    if not len(directions):
        return np.zeros((0, width))
    rows: NDArray[np.float64] = shares.reshape(-1, len(directions)) @ directions
    return rows
