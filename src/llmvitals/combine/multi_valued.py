"""Fields of a call that may have any number of values: the tools that it requests, its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import Call
from llmvitals.sketch import scores as law

Ints = NDArray[np.int64]


class MultiValued(NamedTuple):
    """k values of some of n calls.

    places: the call that each value belongs to, ascending. names: the name of each value, or its code.
    values: a number for each.
    """

    places: Ints
    names: NDArray[Any]
    values: Ints

    def take(self, places: Ints) -> MultiValued:
        """Only the values of the calls at these places, in their order."""
        if not len(self.places):
            return self
        moved = np.full(max(int(self.places[-1]), int(places.max(initial=0))) + 1, -1)
        moved[places] = np.arange(len(places))
        moved_places = moved[self.places]
        order = np.flatnonzero(moved_places >= 0)
        order = order[np.argsort(moved_places[order], kind="stable")]
        return MultiValued(moved_places[order], self.names[order], self.values[order])

    def without(self, places: Ints) -> MultiValued:
        """Only the values of all other calls."""
        kept = np.isin(self.places, places, invert=True)
        return MultiValued(self.places[kept], self.names[kept], self.values[kept])

    def parts(self, edges: Sequence[int]) -> list[MultiValued]:
        """The values of the calls from each edge up to the next one."""
        if not len(self.places):
            return [self for _ in edges[1:]]
        return [
            NOTHING
            if inside is None
            else MultiValued(self.places[inside] - start, self.names[inside], self.values[inside])
            for start, inside in stretches(self.places, edges)
        ]


def stretches(places: Ints, edges: Sequence[int]) -> Iterator[tuple[int, slice | None]]:
    """From each edge up to the next one: the edge, and where the places between them are; None for none.

    places, edges: ascending.
    """
    spans = pairwise(np.searchsorted(places, edges).tolist())
    for start, (low, high) in zip(edges, spans, strict=False):
        yield start, slice(low, high) if low < high else None


NOTHING: Final = MultiValued(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def concatenate(parts: Sequence[tuple[int, MultiValued]]) -> MultiValued:
    """Concatenate parts: (number of calls, their values)."""
    starts = np.cumsum([0, *(calls for calls, _ in parts)]).tolist()
    shifted = [(start, part) for start, (_, part) in zip(starts, parts, strict=False) if len(part.places)]
    if not shifted:
        return NOTHING
    return MultiValued(
        np.concatenate([part.places + start for start, part in shifted]),
        np.concatenate([part.names for _, part in shifted]),
        np.concatenate([part.values for _, part in shifted]),
    )


def tools(calls: Sequence[Call]) -> MultiValued:
    """Name each tool that an answer requests: `TOOL#ARGUMENTS_HASH`, or `TOOL` without a hash; value 1."""
    requested = [call.tools for call in calls]
    if not any(requested):
        return NOTHING
    entries = [
        (place, f"{tool.name}#{tool.arguments_hash}" if tool.arguments_hash else tool.name, 1)
        for place, call_tools in enumerate(requested)
        for tool in call_tools or ()
    ]
    return _multi_valued(entries)


def scores(calls: Sequence[Call]) -> MultiValued:
    """Read the scores of calls in millionths, at most ±LIMIT; of one call the MOST first by name."""
    columns = [call.scores for call in calls]
    if not any(columns):
        return NOTHING
    return _multi_valued(
        [(place, *score) for place, named in enumerate(columns) if named for score in _micro(named)]
    )


def _micro(named: dict[str, float]) -> Iterator[tuple[str, int]]:
    names = named if len(named) <= law.MOST else sorted(named)[: law.MOST]
    for name in names:
        yield name, round(min(max(named[name], -law.LIMIT), law.LIMIT) * law.MICRO)


def _multi_valued(entries: Sequence[tuple[int, str, int]]) -> MultiValued:
    places, names, values = zip(*entries, strict=True) if entries else ((), (), ())
    return MultiValued(np.array(places, np.int64), np.array(names, object), np.array(values, np.int64))
