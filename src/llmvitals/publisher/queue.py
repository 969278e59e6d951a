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
_WARN_EVERY: Final = 60.0
"""Seconds between two warnings about the same cause."""
_TIMER_ERROR: Final = 0.01
"""Seconds by which a timer may be early."""

Outcome = Literal["sent", "dropped", "failed"]


@dataclass(slots=True, eq=False)
class Event:
    """One call, ready for Kafka. done: called once, with whether Kafka has it."""

    key: bytes | None
    value: bytes
    done: Callable[[bool], object] | None = None


@dataclass(slots=True)
class _Warned:
    at: float
    since: int = 0


class EventQueue:
    """The bounded queue between the application's threads and the sender's, and the counts.

    Every event that is put in gets exactly one outcome, whatever the sender and the waiting code do.
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
        self._unfinished: dict[Event, None] = {}
        """Events without an outcome, the oldest first; those that are not in the queue are in flight."""
        self._warned: dict[str, _Warned] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._give_up: Callable[[], object] = bool
        self._wake = asyncio.Event()
        self._idle = False

    @property
    def waiting(self) -> int:
        """Events without an outcome."""
        return len(self._unfinished)

    @property
    def over(self) -> bool:
        """Whether it is closed, and the time is up or no event waits."""
        return self.closing is not None and (
            time.monotonic() >= self.closing - _TIMER_ERROR or not self._unfinished
        )

    def put(self, event: Event) -> bool:
        """Add an event. False, and counted as dropped, when the queue is full or closed."""
        with self.lock:
            closed, full = self.closing is not None, len(self._unfinished) >= self._limit
            wake = False
            if not closed and not full:
                self._unfinished[event] = None
                self._queue.append(event)
                wake, self._idle = self._idle, False
        if wake:
            self._call(self._wake.set)
        if closed:
            self.refuse("dropped", "the publisher is closed: calls are dropped")
        elif full:
            self.refuse("dropped", "the queue of %d calls is full: calls are dropped", self._limit)
        return not closed and not full

    def put_back(self, event: Event) -> None:
        """Put back an event that `take` gave, to be taken next; called by the sender, on its loop."""
        with self.lock:
            if event in self._unfinished:
                self._queue.appendleft(event)
        self._wake.set()

    def take(self) -> Event | None:
        """Remove and return the oldest event; None when there is none."""
        with self.lock:
            while self._queue:
                event = self._queue.popleft()
                if event in self._unfinished:
                    return event
        return None

    def finish(self, event: Event, outcome: Outcome) -> None:
        """Note the outcome of an event; a second outcome of the same event is ignored."""
        with self.lock:
            if event not in self._unfinished:
                return
            del self._unfinished[event]
            self.counts[outcome] += 1
        _resolve(event, delivered=outcome == "sent")

    def refuse(self, outcome: Outcome, why: str, *values: object) -> None:
        """Count an event that was never queued, and warn."""
        with self.lock:
            self.counts[outcome] += 1
        self.warn(why % values, why, *values)

    def warn(self, cause: str, why: str, *values: object) -> None:
        """Log a warning with the counts, each cause once a minute."""
        now = time.monotonic()
        with self.lock:
            last = self._warned.get(cause)
            if last is not None and now - last.at < _WARN_EVERY:
                last.since += 1
                return
            self._warned[cause] = _Warned(now)
            counts, waiting = dict(self.counts), len(self._unfinished)
        again = (
            f" ({last.since} more times since the last warning)" if last is not None and last.since else ""
        )
        state = "; %d calls wait, and so far %d were sent, %d dropped, %d failed"
        counted = (waiting, counts["sent"], counts["dropped"], counts["failed"])
        with contextlib.suppress(Exception):  # a log handler of the application may fail
            log.warning(f"{why}{again}{state}", *values, *counted)  # noqa: G004 - our own words

    def attach(self, loop: asyncio.AbstractEventLoop, give_up: Callable[[], object]) -> None:
        """Attach the sender's loop; all events without an outcome are to be sent (again).

        give_up: called when the time for closing is up.
        """
        with self.lock:
            self._loop, self._give_up, self._wake = loop, give_up, asyncio.Event()
            self._queue, self._idle = deque(self._unfinished), False
            closing = self.closing
        if closing is not None:
            loop.call_later(closing - time.monotonic(), give_up)

    async def wait(self) -> None:
        """Wait until there may be an event to take, or the queue is closed."""
        self._wake.clear()
        with self.lock:
            if self._queue or self.closing is not None:
                return
            self._idle = True
        await self._wake.wait()

    def close(self, timeout: float) -> None:
        """Accept no more events; the sender has `timeout` seconds for the rest."""
        with self.lock:
            self.closing = time.monotonic() + timeout
            loop = self._loop
        if loop is not None:
            self._call(loop.call_later, timeout, self._give_up)
            self._call(self._wake.set)

    def clear(self) -> None:
        """Count all events without an outcome as dropped, those in flight too."""
        with self.lock:
            left, self._unfinished = self._unfinished, {}
            self._queue.clear()
            self.counts["dropped"] += len(left)
        if left:
            self.warn("closed", "closed before Kafka had taken %d calls: they are dropped", len(left))
        for event in left:
            _resolve(event, delivered=False)

    def _call(self, what: Callable[..., object], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *values)


def _resolve(event: Event, *, delivered: bool) -> None:
    if event.done is not None:
        with contextlib.suppress(Exception):  # the waiting code may be gone, and its loop closed
            event.done(delivered)
