"""Finds the space that most vectors come from, after the embedding model or its dimension has changed."""

from __future__ import annotations

from heapq import nlargest
from math import exp
from typing import TYPE_CHECKING, Any, Final

from llmvitals.window import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.sketch.moments import Meaning

TIMES: Final = 2
"""Another space has won if it has more than so many times the vectors of the learned one for WON."""
WON: Final = DAY
_FADE: Final = 6 * HOUR
"""A count falls to 1/e in this time, so that a model that is rolled back counts no more in a few hours."""
_FEW: Final = 0.01
"""The share of the learned one's vectors below which all others are forgotten."""
_KEPT: Final = 16
"""Spaces that are counted at most."""


def only(state: Mapping[str, Any], meaning: Meaning) -> bool:
    """Whether all vectors of a pane come from the learned space, and no other one is counted."""
    return "others" not in state and [*meaning] == [state.get("space")]


def count(state: dict[str, Any], meaning: Meaning, begin: int, end: int) -> str | None:
    """Count the vectors of a pane (begin, end: µs); returns a space that has won.

    State: "space": the learned one; "others", while there are any: "at": event time (µs) of the counts,
    "counts": space → vectors, which fade; "since": see TIMES.
    """
    if only(state, meaning):
        return None
    learned = state["space"]
    others = state.setdefault("others", {"at": begin, "counts": {}})
    kept = exp((others["at"] - end) / _FADE)
    counts = {space: vectors * kept for space, vectors in others["counts"].items()}
    for space, moments in meaning.items():
        counts[space] = counts.get(space, 0.0) + moments.count
    others |= {"at": end, "counts": dict(nlargest(_KEPT, counts.items(), key=lambda entry: entry[1]))}
    found, ours = most(counts, learned), counts.get(learned, 0.0)
    if found is None or counts[found] <= _FEW * ours:
        del state["others"]
        return None
    if counts[found] <= TIMES * ours:
        others.pop("since", None)
        return None
    since: int = others.setdefault("since", begin)
    return found if end - since >= WON else None


def most(counts: Mapping[str, float], learned: str) -> str | None:
    """The space with the most vectors besides the learned one; None for none."""
    return max((space for space in sorted(counts) if space != learned), key=counts.__getitem__, default=None)
