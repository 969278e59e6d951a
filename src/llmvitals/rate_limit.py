"""How fast notifiers are spoken to, and for how long they are left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Pauses:
    """Places that are left alone for a while: place → why, until when, and how long that is."""

    limits: RateLimits
    places: dict[str, tuple[str, float, float]] = field(default_factory=dict)

    def check(self, *places: str) -> None:
        """Raises SinkError (retry) while one of the places is left alone."""
        now = self.limits.monotonic()
        for place in places:
            why, until, _ = self.places.get(place, ("", 0.0, 0.0))
            if until > now:
                raise SinkError(why, retry=True, retry_after=until - now)

    def begin(self, place: str, why: str, seconds: float | None) -> SinkError:
        """Leave it alone for so long; without a time of its own, each time twice as long as before."""
        _, _, before = self.places.get(place, ("", 0.0, 0.0))
        wait = min(max(before * 2, 0.5), self.limits.longest) if seconds is None else seconds
        self.places[place] = (why, self.limits.monotonic() + wait, wait)
        return SinkError(why, retry=True, retry_after=wait)

    def over(self, place: str) -> None:
        """It is well again."""
        self.places.pop(place, None)
