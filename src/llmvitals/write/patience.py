"""Trying again: how long to wait, and for how long to go on (for ever)."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from llmvitals.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
log: Final = structlog.get_logger(__name__)


@dataclass(slots=True)
class Patience:
    """Repeats an attempt until it succeeds or fails for good; `reason` says what it waits for meanwhile.

    first, most: the backoff's first and longest wait, in seconds, each then halved at random up to once.
    cap: the longest time that a store may ask us to wait. sleep and chance (0 … 1) are handed in.
    """

    first: float = 0.5
    most: float = 30.0
    cap: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    reason: str | None = None

    async def until_done(self, attempt: Callable[[], Awaitable[T]], retried: Callable[[], None]) -> T:
        """The result of the first attempt that succeeds.

        retried: called before each repetition. Raises SinkError when an attempt does with `retry` False;
        cancellation ends it between attempts and within one.
        """
        failures = 0
        while True:
            try:
                result = await attempt()
            except SinkError as error:
                if not error.retry:
                    raise
                if self.reason != str(error):
                    log.warning(
                        "the store does not take the metrics; they wait on the topic", reason=str(error)
                    )
                self.reason = str(error)
                await self.sleep(self.wait(failures, error.retry_after))
                failures += 1
                retried()
            else:
                if self.reason is not None:
                    log.info("the store takes the metrics again")
                self.reason = None
                return result

    def wait(self, failures: int, asked: float | None) -> float:
        """Seconds until the next attempt, after so many failures before this one."""
        backoff = min(self.most, self.first * 2.0 ** min(failures, 30)) * (1 - self.chance() / 2)
        return max(backoff, min(asked or 0.0, self.cap))
