"""The bounded queue between an application's threads and the one that sends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

log: Final = logging.getLogger("llmvitals.publisher")
_QUIET: Final = 60.0
"""Seconds between two warnings about the same cause."""
_EARLY: Final = 0.01
"""Seconds that a timer may come before its time."""

Outcome = Literal["sent", "dropped", "failed"]


@dataclass(slots=True, eq=False)
class Event:
    """One call, ready for Kafka. done: is told once whether Kafka has it."""

    key: bytes | None
    value: bytes
    done: Callable[[bool], object] | None = None


@dataclass(slots=True)
class _Said:
    at: float
    since: int = 0


class EventQueue:
    """The bounded queue between the application's threads and the sender's, and the counts.

    Every event that is taken comes to exactly one outcome, whatever the sender and the waiting code do.
    """

    def __init__(self, limit: int) -> None:
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        """The sender's."""
        self.counts: dict[Outcome, int] = {"sent": 0, "dropped": 0, "failed": 0}
        self.restarts = 0
        self.closing: float | None = None
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._open: dict[Event, None] = {}
        """Without an outcome, the oldest first; those that are not in the queue are under way."""
        self._said: dict[str, _Said] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._give_up: Callable[[], object] = bool
        self._wake = asyncio.Event()
        self._resting = False

    @property
    def waiting(self) -> int:
        """Events without an outcome."""
        return len(self._open)

    @property
    def over(self) -> bool:
        """Whether it is closed and the time is up, or nothing waits any more."""
        return self.closing is not None and (time.monotonic() >= self.closing - _EARLY or not self._open)

    def put(self, event: Event) -> bool:
        """Take one more, unless the queue is full or closed."""
        with self.lock:
            closed, full = self.closing is not None, len(self._open) >= self._limit
            nudge = False
            if not closed and not full:
                self._open[event] = None
                self._queue.append(event)
                nudge, self._resting = self._resting, False
        if nudge:
            self._call(self._wake.set)
        if closed:
            self.refuse("dropped", "the publisher is closed: calls are dropped")
        elif full:
            self.refuse("dropped", "the queue of %d calls is full: calls are dropped", self._limit)
        return not closed and not full

    def back(self, event: Event) -> None:
        """Lay one back, to be taken next; the sender calls it, on its loop."""
        with self.lock:
            if event in self._open:
                self._queue.appendleft(event)
        self._wake.set()

    def take(self) -> Event | None:
        """The oldest, None when there is none."""
        with self.lock:
            while self._queue:
                event = self._queue.popleft()
                if event in self._open:
                    return event
        return None

    def settle(self, event: Event, outcome: Outcome) -> None:
        """One that waited has come to its end; of several the first counts."""
        with self.lock:
            if event not in self._open:
                return
            del self._open[event]
            self.counts[outcome] += 1
        _tell(event, delivered=outcome == "sent")

    def refuse(self, outcome: Outcome, why: str, *values: object) -> None:
        """Count one that never waited."""
        with self.lock:
            self.counts[outcome] += 1
        self.tell(why, why, *values)

    def tell(self, cause: str, why: str, *values: object) -> None:
        """Log, but of the same cause only once a minute, and how it stands."""
        now = time.monotonic()
        with self.lock:
            said = self._said.get(cause)
            if said is not None and now - said.at < _QUIET:
                said.since += 1
                return
            self._said[cause] = _Said(now)
            counts, waiting = dict(self.counts), len(self._open)
        again = (
            f" ({said.since} times more since this was said last)" if said is not None and said.since else ""
        )
        state = "; %d calls wait, and so far %d were sent, %d dropped, %d failed"
        counted = (waiting, counts["sent"], counts["dropped"], counts["failed"])
        with contextlib.suppress(Exception):  # a handler of the application's
            log.warning(f"{why}{again}{state}", *values, *counted)  # noqa: G004 - our own words

    def attach(self, loop: asyncio.AbstractEventLoop, give_up: Callable[[], object]) -> None:
        """Begin on the sender's loop: all that has no outcome is to be sent. give_up: the time is up."""
        with self.lock:
            self._loop, self._give_up, self._wake = loop, give_up, asyncio.Event()
            self._queue, self._resting = deque(self._open), False
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
        """What has no outcome by now counts as dropped, under way or not."""
        with self.lock:
            left, self._open = self._open, {}
            self._queue.clear()
            self.counts["dropped"] += len(left)
        if left:
            self.tell("closed", "closed before Kafka had taken %d calls: they are dropped", len(left))
        for event in left:
            _tell(event, delivered=False)

    def _call(self, what: Callable[..., object], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *values)


def _tell(event: Event, *, delivered: bool) -> None:
    if event.done is not None:
        with contextlib.suppress(Exception):  # who waits may be gone, and its loop closed
            event.done(delivered)
