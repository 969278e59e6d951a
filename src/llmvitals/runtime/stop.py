"""Makes a worker end with exit code 0 on SIGTERM while no event loop runs, early and late."""

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
"""Set by a SIGTERM while no loop ran. The exception may have been swallowed, such as by a destructor."""


@contextmanager
def heard() -> Iterator[None]:
    """Have SIGTERM raise SystemExit(0) inside the block, so that everything is closed on the way out.

    After the block SIGTERM is ignored: a second one must not change the exit code.
    """
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def leave(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM while no loop runs."""
    del number, frame
    told.set()
    raise SystemExit(0)


async def until_told(waiting: Coroutine[Any, Any, T]) -> T | None:
    """Wait for a result; None when SIGTERM or SIGINT comes first."""
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
        # Without a handler SIGTERM would kill the process until the next one is set.
        signal.signal(signal.SIGTERM, leave)
