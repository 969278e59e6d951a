"""Ends a worker that makes no progress: nothing else helps against the known stalls of Faust and aiokafka."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.errors import LlmvitalsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiokafka import TopicPartition

    from llmvitals.runtime.kafka.feed import Progress

log = logging.getLogger(__name__)

SUPERVISOR: Final = "LLMVITALS_SUPERVISOR"
"""The environment variable in which `supervise` tells its children its process id."""
GRACE: Final = 15.0
"""Seconds that an orderly end may take."""
SILENCE: Final = 3.0
"""Seconds without an answer of Kafka after which a worker is not ready."""
REBALANCE: Final = 60.0
"""Seconds that a rebalance may take because another member is slow."""


class Stalled(LlmvitalsError):
    """A partition has records, and reading does not progress."""


@dataclass(slots=True)
class _Seen:
    done: tuple[int, int]
    since: float


class Patience:
    """Measures how long each partition has made no progress. clock: seconds.

    limit: the longest time (s) of lag without progress.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._seen: dict[TopicPartition, _Seen] = {}

    def look(
        self, now: float, progress: Iterable[Progress], ends: Mapping[TopicPartition, int]
    ) -> Stalled | None:
        """Return a partition that made no progress for too long. ends: partition → its end offset."""
        seen, found = {}, None
        for partition, offset, waiting, pieces in progress:
            before = self._seen.get(partition)
            lag = ends.get(partition, offset) - offset
            moved = before is None or before.done != (offset, pieces) or lag <= 0 or waiting is not None
            seen[partition] = here = _Seen((offset, pieces), now) if moved or before is None else before
            if now - here.since >= self._limit:
                found = Stalled(
                    f"{partition.topic}[{partition.partition}] stands at offset {offset} for "
                    f"{now - here.since:.0f} s, {lag} records before its end: restarting is the cure"
                )
        self._seen = seen
        return found


class Guard(threading.Thread):
    """Ends the process when its event loop hangs or its supervisor is gone.

    It is a thread, because nothing on the loop can see that the loop hangs. beat() has to be called on
    the loop more often than every `limit` seconds, until end_within() says how long the end may take.
    """

    def __init__(self, limit: float, kill: Callable[[int, int], None] = os.kill) -> None:
        super().__init__(name="guard", daemon=True)
        self._limit, self._kill = limit, kill
        self._beat = time.monotonic()
        self._ending: float | None = None
        self._stopped = threading.Event()
        self._supervisor = int(os.environ.get(SUPERVISOR, "0"))

    def beat(self) -> None:
        """Report that the loop runs."""
        self._beat = time.monotonic()

    def end_within(self, seconds: float) -> None:
        """Kill the process unless it has ended by then; of several calls the earliest time counts."""
        ending = time.monotonic() + seconds
        self._ending = ending if self._ending is None else min(self._ending, ending)

    def stop(self) -> None:
        """Stop: the process ends by itself."""
        self._stopped.set()

    def run(self) -> None:
        """Check twice a second."""
        while not self._stopped.wait(0.5):
            now = time.monotonic()
            if self._supervisor and os.getppid() != self._supervisor:
                log.warning("The supervisor (process %d) is gone: stopping", self._supervisor)
                self._supervisor = 0
                self._kill(os.getpid(), signal.SIGTERM)
                self.end_within(GRACE)
            if self._ending is None and now - self._beat > self._limit:
                log.critical("The event loop hangs for %.0f s: ending the process", now - self._beat)
                os._exit(1)
            if self._ending is not None and now > self._ending:
                log.critical("The worker did not end in time: ending the process")
                os._exit(1)
