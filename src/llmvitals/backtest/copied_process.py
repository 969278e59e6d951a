"""A process that goes on with a copy of some state, so that long logs are read on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from heapq import heapreplace
from multiprocessing.connection import wait
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from llmvitals.errors import LlmvitalsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

State = TypeVar("State")
T = TypeVar("T")
AHEAD: Final = 4
"""Tasks that a process is behind at most; so many are in memory."""
PROCESSES: Final = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
"""One for each core. Elsewhere only one: a process that has used numpy cannot always be copied there."""


class CopiedProcess(Generic[State]):
    """A process that begins as a copy of this one and carries out tasks on its copy of a state, in order."""

    def __init__(self, state: State) -> None:
        self._waiting: deque[Future[Any]] = deque()
        context = multiprocessing.get_context("fork")
        self._pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=(state,))
        result(self._pool.submit(_nothing))  # it is copied now

    def begin(self, task: Callable[..., T], *arguments: Any) -> Future[T]:
        """Begin `task(state, *arguments)` there. Waits until fewer than AHEAD tasks are not done.

        Raises what an earlier task has raised, and LlmvitalsError if the process was killed.
        """
        if len(self._waiting) == AHEAD:
            result(self._waiting.popleft())
        future = self._pool.submit(_do, task, arguments)
        self._waiting.append(future)
        return future

    def end(self, task: Callable[[State], T]) -> T:
        """Carry out a last task, end the process, and return the result. Raises as `begin` does."""
        last = result(self.begin(task))
        for future in self._waiting:
            result(future)
        self._pool.shutdown()
        return last


def result(future: Future[T]) -> T:
    """The result of a task, once it is done. Raises as `CopiedProcess.begin` does."""
    try:
        return future.result()
    except BrokenProcessPool:
        cure = "the machine may be out of memory: read fewer calls at once"
        raise LlmvitalsError(f"a process that evaluates rules was killed; {cure}") from None


def shares(weighed: Iterable[tuple[float, T]], count: int) -> list[list[T]]:
    """Share things among at most `count` processes, so that the weights of each add up to about as much."""
    parts: list[tuple[float, int, list[T]]] = [(0.0, number, []) for number in range(count)]
    for weight, each in sorted(weighed, key=itemgetter(0), reverse=True) if parts else ():
        total, number, part = parts[0]
        heapreplace(parts, (total + weight, number, [*part, each]))
    return [part for _, _, part in parts if part]


_copied: list[Any] = []
"""The state that this process has a copy of."""


def _begin(state: Any) -> None:
    _copied[:] = [state]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, and so this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _nothing() -> None:
    pass


def _do(task: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    return task(*_copied, *arguments)
