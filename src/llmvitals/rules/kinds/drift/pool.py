"""Panes → steps: the minutes of one space of vectors, summed until there are enough vectors to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.rules.condition import minute
from llmvitals.rules.kinds.drift.calls import MOST, SampledCall
from llmvitals.rules.kinds.drift.sources import crowding
from llmvitals.rules.kinds.drift.step import Step
from llmvitals.rules.kinds.drift.witness import small
from llmvitals.sketch.moments import MOST as SPACES
from llmvitals.sketch.moments import SOURCE, Meaning, Moments, merge_meaning
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def add(state: dict[str, Any], meaning: Meaning, pane: int, length: int) -> None:
    """Add a pane's moments of some spaces.

    State: "pool": of each pane space → moments, in plain data and merged once a minute after `pack`;
    "sampled": space → the last MOST calls of all panes' samples; "wake": a pane; "minutes".
    """
    if meaning:
        sampled = state.setdefault("sampled", {})
        for space, moments in meaning.items():
            calls = sampled.setdefault(space, [])
            calls += [[(pane + 1) * length, trace, x, rank & SOURCE] for rank, trace, x in moments.sample]
            del calls[:-MOST]
        state.setdefault("pool", []).append(meaning)
        state["wake"] = minute.last(pane, length)


def step(state: dict[str, Any], pane: int, length: int, least: int) -> tuple[str, Step] | None:
    """The space that has `least` vectors at the end of this pane, if the pane ends a minute with vectors.

    State: "merge", until `pack`: so many panes of the pool are minutes that are over; "sources": see sources.
    """
    if pane != state.get("wake"):
        return None
    del state["wake"]
    state["minutes"] = state.get("minutes", 0) + 1
    counts = _counts(state["pool"])
    space = max(counts, key=counts.__getitem__)
    if counts[space] < least:
        state["merge"] = len(state["pool"])
        return None
    state.pop("merge", None)
    parts = [{space: part[space]} for part in map(_moments, state.pop("pool")) if space in part]
    sampled = small(state.pop("sampled", {}).get(space, ()))
    calls = tuple([SampledCall(trace, x, at, *source) for at, trace, x, *source in sampled])
    end, minutes = (pane + 1) * length, state.pop("minutes")
    crowded = crowding(state, calls, minutes)
    return space, Step(end, minutes, merge_meaning(parts)[space], calls, crowded)


def pack(state: dict[str, Any]) -> None:
    """Make the pool plain data."""
    pool = state.get("pool")
    if not pool:
        return
    if merge := state.pop("merge", 0):
        pool[:merge] = [merge_meaning(map(_moments, pool[:merge]))]
    pool[:] = map(_plain, pool)


def wakes(state: dict[str, Any]) -> int:
    """The pane that ends a minute with vectors; FOREVER for none."""
    wake: int = state.get("wake", FOREVER)
    return wake


def _counts(pool: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The vectors of each of the spaces that `merge_meaning` keeps, in their order."""
    counts: dict[str, int] = {}
    for part in pool:
        for space, moments in part.items():
            count = moments.count if isinstance(moments, Moments) else moments[0]
            counts[space] = counts.get(space, 0) + count
    return {space: counts[space] for space in sorted(counts)[:SPACES]}


def _plain(part: Mapping[str, Any]) -> Any:
    if isinstance(next(iter(part.values())), Moments):
        return msgspec.to_builtins(part, builtin_types=(bytes,))
    return part


def _moments(part: Mapping[str, Any]) -> Meaning:
    if isinstance(next(iter(part.values())), Moments):
        return {**part}
    return {
        space: Moments(count, x, z, tuple((rank, trace, seen) for rank, trace, seen in sample))
        for space, (count, x, z, sample) in part.items()
    }
