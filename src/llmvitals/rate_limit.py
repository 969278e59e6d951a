"""How fast messages may be sent, and how patient senders are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from llmvitals.errors import SinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """How fast and how patient; all in seconds but `clock`, which is in µs since 1970.

    pace: one message a channel and so long (Slack's own limit), after `burst` at once; edit_pace,
    edit_burst: the same for edits, over all channels (Slack takes some 50 a minute). patience: for how long
    one round goes on with a storm. slow: between tries while our settings are wrong. longest: between tries
    else. timeout: of one request.
    """

    pace: float = 1.0
    burst: int = 4
    edit_pace: float = 1.2
    edit_burst: int = 10
    patience: float = 5.0
    slow: float = 60.0
    longest: float = 30.0
    timeout: float = 10.0
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Busy(SinkError):
    """So many wait already that it is better to come again: nothing is wrong."""


@dataclass(slots=True)
class RateLimiter:
    """A pace (the generic cell rate algorithm, ITU-T I.371)."""

    pace: float
    burst: int
    limits: RateLimits
    due: float = 0.0

    async def turn(self, most: float = inf) -> None:
        """Wait until a request may go. Raises Busy (retry_after) where it takes over `most` seconds.

        most below 0: where fewer than so many seconds' requests could go at once.
        """
        now = self.limits.monotonic()
        start = max(now, self.due)
        wait = start - now - self.pace * (self.burst - 1)
        if wait > most:
            raise Busy(
                "too many edits wait: only so many are accepted a minute",
                retry=True,
                retry_after=max(wait, wait - most),
            )
        self.due = start + self.pace
        if wait > 0:
            await self.limits.sleep(wait)
