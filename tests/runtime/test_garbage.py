"""The garbage collector stops a worker for some ms, however large its state is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Final

import pytest

from llmvitals.runtime import garbage

MOST: Final = (garbage.OLDER + 3) * garbage.YOUNG
"""Objects that a collection looks at."""


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    before, callbacks = gc.get_threshold(), [*gc.callbacks]
    garbage.bound_stops()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*before)
    gc.unfreeze()


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.own = self


def test_no_collection_looks_at_a_large_state() -> None:
    looked = list[int]()

    def look(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations = range(info["generation"] + 1)
            looked.append(sum(len(gc.get_objects(generation)) for generation in generations))

    gc.callbacks.append(look)
    state = {number: [{"spent": [number]}] for number in range(300_000)}  # three objects each
    assert len(state) > 5 * MOST > 5 * max(looked)


def test_cycles_are_freed_while_a_state_grows() -> None:
    cycles, state = list[weakref.ref[Node]](), list[list[int]]()
    for number in range(20 * garbage.YOUNG):
        state.append([number])
        cycles.append(weakref.ref(Node()))
    alive = sum(cycle() is not None for cycle in cycles)
    assert alive < MOST


def test_a_cycle_that_is_given_up_after_it_was_frozen_is_freed_by_collect() -> None:
    node = Node()
    cycle = weakref.ref(node)
    gc.freeze()
    del node
    gc.collect()
    assert cycle() is not None
    garbage.collect()
    assert cycle() is None
