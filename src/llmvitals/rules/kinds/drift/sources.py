"""Weighs the calls of a step by how crowded it is: how many calls their sources have made within the hour.

Calls of one source (a session, else a user, else the call itself) are about one thing, so many of them say no
more than few: n calls in clusters of m are worth n / m (Kish, *Survey Sampling*, 1965). How crowded the steps
of a series usually are is learned, and only what is more crowded weighs less.
"""

from __future__ import annotations

from heapq import nlargest
from math import exp, log
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.rules.kinds.drift.calls import SampledCall

_KEEP: Final = 1 - 1 / 60
"""Of a source's calls, from one minute to the next."""
_HEAVIEST: Final = 64
"""The most sources that are remembered; one of a single call is not."""
_SPARED: Final = 4
"""Unusual calls weigh less only in steps that are more than so many times as crowded as usual: a new topic
that one user brings is no usual burst."""


def crowding(state: dict[str, Any], calls: Sequence[SampledCall], minutes: int) -> float:
    """The mean, over the calls of a step, of the calls that their sources have made so far; 1 without calls.

    State: "sources": the heaviest ones, and their calls, which fade.
    """
    fade = _KEEP**minutes
    made = {source: count * fade for source, count in state.get("sources", ())}
    for call in calls:
        made[call.source] = made.get(call.source, 0.0) + 1
    several = ([source, count] for source, count in made.items() if count > 1)
    state["sources"] = nlargest(_HEAVIEST, several, key=lambda entry: entry[1])
    return sum(made[call.source] for call in calls) / len(calls) if calls else 1.0


def learn(state: dict[str, Any], crowding: float) -> None:
    """Learn how crowded a step is. State: "crowding": the sum of its logarithm, and the steps."""
    total, steps = state.get("crowding", (0.0, 0))
    state["crowding"] = [total + log(crowding), steps + 1]


def usual(state: dict[str, Any]) -> float:
    """How crowded steps usually are: the geometric mean, in which a burst counts for little. 0: unknown."""
    total, steps = state.get("crowding", (0.0, 0))
    return exp(total / steps) if steps else 0.0


def weight(crowding: float, usual: float) -> float:
    """What a call of a step weighs, 0 … 1; 1 where the step is no more crowded than usual."""
    return min(1.0, usual / crowding) if usual else 1.0


def unusual_weight(crowding: float, usual: float) -> float:
    """The same of an unusual call, which weighs less only where the step is more crowded."""
    return weight(crowding / _SPARED, usual)
