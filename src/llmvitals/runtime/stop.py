"""How a worker that is told to stop (SIGTERM) ends with 0 while no event loop listens, early and late."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")

told: Final = threading.Event()
"""SIGTERM came while no loop listened. What it raises may have been swallowed, such as by a destructor."""


@contextmanager
def heard() -> Iterator[None]:
    """From here on SIGTERM raises SystemExit(0), so that what is open is closed on the way out.

    Afterwards it is ignored: a second one must not change how the process ends.
    """
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def leave(number: int, frame: FrameType | None) -> None:
    """What SIGTERM does while no loop listens."""
    del number, frame
    told.set()
    raise SystemExit(0)


async def until_told(waiting: Coroutine[Any, Any, T]) -> T | None:
    """Wait for this; None when SIGTERM or SIGINT comes first."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    task, stop = asyncio.ensure_future(waiting), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stop):
            one.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGINT)
        # Removed, SIGTERM would end the process by the signal until somebody listens again.
        signal.signal(signal.SIGTERM, leave)
