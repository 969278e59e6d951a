"""Waits for facts, under deadlines that a busy machine does not break.

A test says how long something takes where nothing else runs. `deadline` makes it one: a long one costs
nothing where the fact comes, and LLMVITALS_TEST_PATIENCE makes it longer still for a very slow machine.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

SCALE = float(os.environ.get("LLMVITALS_TEST_PATIENCE", "3"))
What = str | Callable[[], str]


def deadline(seconds: float) -> float:
    """The deadline, in seconds, of what takes at most so many seconds on a machine that does nothing else."""
    return seconds * SCALE


def until(fact: Callable[[], Any], seconds: float = 60, what: What = "", every: float = 0.1) -> Any:
    """The first true answer of `fact`; fails with `what` (as it is by then) when there is none in time.

    seconds: how long it takes on an idle machine at most. every: seconds between two looks, at most.
    """
    end = time.monotonic() + deadline(seconds)
    for pause in pauses(every):
        if answer := fact():
            return answer
        if time.monotonic() > end:
            break
        time.sleep(pause)
    raise late(fact, seconds, what)


async def eventually(
    fact: Callable[[], Any], seconds: float = 60, what: What = "", every: float = 0.1
) -> Any:
    """`until` for asynchronous tests; the fact may be asynchronous too."""
    end = time.monotonic() + deadline(seconds)
    for pause in pauses(every):
        answer = fact()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > end:
            break
        await asyncio.sleep(pause)
    raise late(fact, seconds, what)


def pauses(every: float) -> Iterator[float]:
    """Seconds between two looks: few at first, for facts that come at once, and at most `every`."""
    pause = min(0.01, every)
    while True:
        yield pause
        pause = min(1.5 * pause, every)


def late(fact: Callable[[], Any], seconds: float, what: What) -> AssertionError:
    """The failure of a fact that did not come."""
    return AssertionError(f"not within {deadline(seconds):g} s: {what() if callable(what) else what or fact}")
