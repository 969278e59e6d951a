"""Keeps the stops of Python's garbage collector short, however large the state of a worker is.

A collection looks for cycles among the objects that are not frozen (`gc.freeze`). The state is millions of
objects in which there are none, and to look at all of them takes seconds. So whatever survives its second
collection is frozen. It is still freed once nothing refers to it; only a cycle that is given up later stays,
until `collect`.
"""

from __future__ import annotations

import gc
from typing import Any, Final

YOUNG: Final = 10_000
"""Objects that are made before a collection looks at them: some ms."""
OLDER: Final = 2
"""Such collections before one looks at what survived them, too."""
SECOND: Final = 1
"""The generation of that collection."""


def bound_stops() -> None:
    """Freeze what there is, and from now on whatever survives its second collection."""
    gc.set_threshold(YOUNG, OLDER)
    gc.callbacks.append(_freeze)
    gc.freeze()


def collect() -> None:
    """Free all cycles that are given up, the frozen ones too, in a process that called `bound_stops`.

    It takes a second for millions of objects: call it when there is no state.
    """
    if _freeze in gc.callbacks:
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def _freeze(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] >= SECOND:
        gc.freeze()
