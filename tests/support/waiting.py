"""Waits for facts, under deadlines that a busy machine does not break.

A test says how long something takes where nothing else runs. `deadline` makes it one: a long one costs
nothing where the fact comes, and LLMVITALS_TEST_PATIENCE makes it longer still for a very slow machine.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

SCALE = float(os.environ.get("LLMVITALS_TEST_PATIENCE", "3"))
What = str | Callable[[], str]


def deadline(seconds: float) -> float:
    """The deadline, in seconds, of what takes at most so many seconds on a machine that does nothing else."""
    return seconds * SCALE


def until(fact: Callable[[], Any], seconds: float = 60, what: What = "", every: float = 0.05) -> Any:
    """The first true answer of `fact`; fails with `what` (as it is by then) when there is none in time.

    seconds: how long it takes on an idle machine at most. every: seconds between two looks.
    """
    end = time.monotonic() + deadline(seconds)
    while time.monotonic() < end:
        if answer := fact():
            return answer
        time.sleep(every)
    raise late(fact, seconds, what)


async def eventually(
    fact: Callable[[], Any], seconds: float = 60, what: What = "", every: float = 0.05
) -> Any:
    """`until` for asynchronous tests; the fact may be asynchronous too."""
    end = time.monotonic() + deadline(seconds)
    while time.monotonic() < end:
        answer = fact()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(every)
    raise late(fact, seconds, what)


def late(fact: Callable[[], Any], seconds: float, what: What) -> AssertionError:
    """The failure of a fact that did not come."""
    return AssertionError(f"not within {deadline(seconds):g} s: {what() if callable(what) else what or fact}")
