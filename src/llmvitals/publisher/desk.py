"""The bounded queue between an application's threads and the one that sends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Literal

log: Final = logging.getLogger("llmvitals.publisher")
_QUIET: Final = 60.0

Outcome = Literal["sent", "dropped", "failed"]


@dataclass(slots=True)
class Event:
    """One call, ready for Kafka. done: is told whether Kafka has it."""

    key: bytes | None
    value: bytes
    done: Future[bool] | None = None


class Desk:
    """The bounded queue between the application's threads and the sender's, and the counts."""

    def __init__(self, limit: int) -> None:
        self.lock = threading.Lock()
        self.counts: dict[Outcome, int] = {"sent": 0, "dropped": 0, "failed": 0}
        self.waiting = 0
        self.closing: float | None = None
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._told = -_QUIET
        self._loop: asyncio.AbstractEventLoop | None = None
        self._give_up: Callable[[], object] = bool
        self._wake = asyncio.Event()
        self._resting = False

    def put(self, event: Event) -> bool:
        """Take one more, unless the queue is full or closed."""
        with self.lock:
            if self.waiting < self._limit and self.closing is None:
                self.waiting += 1
                self._queue.append(event)
                nudge, self._resting = self._resting, False
                taken = True
            else:
                taken = nudge = False
        if nudge:
            self._call(self._wake.set)
        if not taken:
            self.refuse("dropped", "the queue of %d calls is full or closed: calls are dropped", self._limit)
        return taken

    def back(self, event: Event) -> None:
        """Lay one back, to be taken next."""
        with self.lock:
            self._queue.appendleft(event)

    def take(self) -> Event | None:
        """The oldest, None when there is none."""
        with self.lock:
            return self._queue.popleft() if self._queue else None

    def settle(self, event: Event, outcome: Outcome) -> None:
        """One that waited has come to its end."""
        with self.lock:
            if self.waiting == 0:
                return  # the time was up before
            self.waiting -= 1
            self.counts[outcome] += 1
        if event.done is not None:
            event.done.set_result(outcome == "sent")

    def refuse(self, outcome: Outcome, why: str, *values: object) -> None:
        """Count one that never waited."""
        with self.lock:
            self.counts[outcome] += 1
        self.tell(why, *values)

    def tell(self, why: str, *values: object) -> None:
        """Log, but only once a minute."""
        now = time.monotonic()
        if now - self._told >= _QUIET:
            self._told = now
            log.warning(why, *values)

    def attach(self, loop: asyncio.AbstractEventLoop, give_up: Callable[[], object]) -> None:
        """Name the sender's loop, and how it is told that the time is up."""
        with self.lock:
            self._loop, self._give_up = loop, give_up
            closing = self.closing
        if closing is not None:
            loop.call_later(closing - time.monotonic(), give_up)

    async def rest(self) -> None:
        """Wait until there may be something to take, or to close for."""
        self._wake.clear()
        with self.lock:
            if self._queue or self.closing is not None:
                return
            self._resting = True
        await self._wake.wait()

    def close(self, timeout: float) -> None:
        """Take nothing more; the sender has `timeout` seconds for the rest."""
        with self.lock:
            self.closing = time.monotonic() + timeout
            loop = self._loop
        if loop is not None:
            self._call(loop.call_later, timeout, self._give_up)
            self._call(self._wake.set)

    def clear(self) -> None:
        """What is left counts as dropped."""
        with self.lock:
            left, self._queue = list(self._queue), deque()
            self.counts["dropped"] += self.waiting
            self.waiting = 0
        for event in left:
            if event.done is not None:
                event.done.set_result(False)

    def _call(self, what: Callable[..., object], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *values)
