"""What only some calls say, and one may say several times: the tools that it asks for, its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import Call
from llmvitals.sketch import scores as law

Ints = NDArray[np.int64]


class MultiValued(NamedTuple):
    """places: of which call (k, ascending). said: what it says, a word or a word's code (k). values: (k)."""

    places: Ints
    said: NDArray[Any]
    values: Ints

    def take(self, places: Ints) -> MultiValued:
        """What the calls at these places say, in their order."""
        if not len(self.places):
            return self
        moved = np.full(max(int(self.places[-1]), int(places.max(initial=0))) + 1, -1)
        moved[places] = np.arange(len(places))
        mine = moved[self.places]
        order = np.flatnonzero(mine >= 0)
        order = order[np.argsort(mine[order], kind="stable")]
        return MultiValued(mine[order], self.said[order], self.values[order])

    def without(self, places: Ints) -> MultiValued:
        """What the others say."""
        kept = np.isin(self.places, places, invert=True)
        return MultiValued(self.places[kept], self.said[kept], self.values[kept])

    def part(self, start: int, end: int) -> MultiValued:
        """What the calls from one place up to another say."""
        if not len(self.places):
            return self
        mine = slice(*np.searchsorted(self.places, (start, end)).tolist())
        return MultiValued(self.places[mine] - start, self.said[mine], self.values[mine])


NOTHING: Final = MultiValued(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


def joined(parts: Sequence[tuple[int, MultiValued]]) -> MultiValued:
    """Parts one after another; before each of them, how many calls it is of."""
    starts = np.cumsum([0, *(calls for calls, _ in parts)]).tolist()
    found = [(start, part) for start, (_, part) in zip(starts, parts, strict=False) if len(part.places)]
    if not found:
        return NOTHING
    return MultiValued(
        np.concatenate([part.places + start for start, part in found]),
        np.concatenate([part.said for _, part in found]),
        np.concatenate([part.values for _, part in found]),
    )


def tools(calls: Sequence[Call]) -> MultiValued:
    """`TOOL#ARGUMENTS_HASH` of each tool that an answer asks for, `TOOL` where there is no hash; value 1."""
    asked = [call.tools for call in calls]
    if not any(asked):
        return NOTHING
    found = [
        (place, f"{tool.name}#{tool.arguments_hash}" if tool.arguments_hash else tool.name, 1)
        for place, mine in enumerate(asked)
        for tool in mine or ()
    ]
    return _several(found)


def scores(calls: Sequence[Call]) -> MultiValued:
    """Millionths of each score, at most ±LIMIT; of one call the MOST first."""
    given = [call.scores for call in calls]
    if not any(given):
        return NOTHING
    return _several([(place, *score) for place, mine in enumerate(given) if mine for score in _micro(mine)])


def _micro(given: dict[str, float]) -> Iterator[tuple[str, int]]:
    names = given if len(given) <= law.MOST else sorted(given)[: law.MOST]
    for name in names:
        yield name, round(min(max(given[name], -law.LIMIT), law.LIMIT) * law.MICRO)


def _several(found: Sequence[tuple[int, str, int]]) -> MultiValued:
    places, said, values = zip(*found, strict=True) if found else ((), (), ())
    return MultiValued(np.array(places, np.int64), np.array(said, object), np.array(values, np.int64))
