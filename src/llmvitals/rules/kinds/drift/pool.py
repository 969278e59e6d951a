"""Panes → steps: the minutes of one space of vectors, summed until there are enough vectors to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.rules.condition import minute
from llmvitals.rules.kinds.drift.calls import SeenCall
from llmvitals.rules.kinds.drift.training import Step
from llmvitals.rules.kinds.drift.witness import small
from llmvitals.sketch.moments import Meaning, Moments, merge_meaning
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 64
"""Whole vectors of a step."""


def add(state: dict[str, Any], meaning: Meaning, pane: int, length: int) -> None:
    """Add a pane's moments of some spaces.

    State: "pool": of each pane space → moments, merged once a minute; "sampled": space → the last MOST calls
    of all panes' samples; "wake": a pane; "minutes".
    """
    if meaning:
        for space, moments in meaning.items():
            calls = state.setdefault("sampled", {}).setdefault(space, [])
            calls += ([trace, x, (pane + 1) * length] for _, trace, x in small(moments.sample))
            del calls[:-MOST]
        state.setdefault("pool", []).append(_plain(meaning))
        state["wake"] = minute.last(pane, length)


def step(state: dict[str, Any], pane: int, length: int, least: int) -> tuple[str, Step] | None:
    """The space that has `least` vectors at the end of this pane, if the pane ends a minute with vectors."""
    if pane != state.get("wake"):
        return None
    del state["wake"]
    state["minutes"] = state.get("minutes", 0) + 1
    pool = merge_meaning(map(_moments, state["pool"]))
    space = max(sorted(pool), key=lambda name: pool[name].count)
    if pool[space].count < least:
        state["pool"] = [_plain(pool)]
        return None
    del state["pool"]
    calls = tuple(SeenCall(*call) for call in state.pop("sampled", {}).get(space, ()))
    return space, Step((pane + 1) * length, state.pop("minutes"), pool[space], calls)


def wakes(state: dict[str, Any]) -> int:
    """The pane that ends a minute with vectors; FOREVER for none."""
    wake: int = state.get("wake", FOREVER)
    return wake


def _plain(meaning: Meaning) -> Any:
    return msgspec.to_builtins(meaning, builtin_types=(bytes,))


def _moments(pool: Mapping[str, Any]) -> Meaning:
    return {
        space: Moments(count, x, z, tuple((rank, trace, seen) for rank, trace, seen in sample))
        for space, (count, x, z, sample) in pool.items()
    }
