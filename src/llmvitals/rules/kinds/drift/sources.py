"""Weighs the calls of a step by how crowded it is: how many calls their sources have made lately.

Calls of one source (a session, else a user, else the call itself) are about one thing, so many of them say no
more than few: n calls in clusters of m are worth n / m (Kish, *Survey Sampling*, 1965). How crowded the steps
of a series usually are is learned, and only what is more crowded weighs less.
"""

from __future__ import annotations

from heapq import nlargest
from itertools import zip_longest
from math import exp, log
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.drift.calls import SampledCall

_MINUTES: Final = (60, 8)
"""So long calls of a source count together: a session, and a burst within it."""
_KEEP: Final = tuple(1 - 1 / minutes for minutes in _MINUTES)
"""Of a source's calls, from one minute to the next."""
_HEAVIEST: Final = 64
"""The most sources that are remembered."""
_FORGOTTEN: Final = 0.5
"""A source with no more calls is forgotten."""
_SPARED: Final = 4
"""Unusual calls weigh less only in steps that are more than so many times as crowded as usual: a new topic
that one user brings is no usual burst."""

Crowding = tuple[float, ...]
"""The mean, over the calls of a step, of the calls that their sources have made in each of _MINUTES."""
NONE: Final[Crowding] = (1.0,) * len(_MINUTES)
UNKNOWN: Final[Crowding] = (0.0,) * len(_MINUTES)
"""A usual crowding by which all calls weigh alike."""


def crowding(state: dict[str, Any], calls: Sequence[SampledCall], minutes: int) -> Crowding:
    """The crowding of a step, after so many minutes; NONE without calls.

    State: "sources": the heaviest ones, and their calls, which fade.
    """
    fades = [keep**minutes for keep in _KEEP]
    made = {
        source: [count * fade for count, fade in zip_longest(counts, fades, fillvalue=0.0)]
        for source, *counts in state.get("sources", ())
    }
    for call in calls:
        made[call.source] = [count + 1 for count in made.get(call.source, [0.0] * len(fades))]
    known = ([source, *counts] for source, counts in made.items() if counts[0] > _FORGOTTEN)
    state["sources"] = nlargest(_HEAVIEST, known, key=itemgetter(1))
    sums = map(sum, zip(*(made[call.source] for call in calls), strict=True))
    return tuple(total / len(calls) for total in sums) if calls else NONE


def learn(state: dict[str, Any], crowding: Crowding) -> None:
    """Learn how crowded a step is. State: "crowding": the steps, and the sums of the logarithms."""
    before = state.get("crowding", ())
    if len(before) != 1 + len(crowding):  # of an older version
        before = [0.0] * (1 + len(crowding))
    state["crowding"] = [
        before[0] + 1,
        *(old + log(one) for old, one in zip(before[1:], crowding, strict=True)),
    ]


def usual(state: dict[str, Any]) -> Crowding:
    """How crowded steps usually are: geometric means, in which a burst counts for little."""
    steps, *sums = state.get("crowding", (0,))
    if len(sums) != len(UNKNOWN):  # nothing was learned, or by an older version
        return UNKNOWN
    return tuple(exp(total / steps) for total in sums)


def weight(crowding: Crowding, usual: Crowding) -> float:
    """What a call of a step weighs, 0 … 1; 1 where the step is no more crowded than usual."""
    return min((1.0, *(one / now for one, now in zip(usual, crowding, strict=True) if one)))


def unusual_weight(crowding: Crowding, usual: Crowding) -> float:
    """The same of an unusual call, which weighs less only where an hour is more crowded."""
    return weight((crowding[0] / _SPARED,), usual[:1])
