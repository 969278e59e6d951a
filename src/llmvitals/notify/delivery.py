"""One message until it is delivered or refused for good: waits, asks, moves, and says why meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from llmvitals.notify.answer import Answer, Backend, Do

if TYPE_CHECKING:
    from llmvitals.notify.message import Notice
    from llmvitals.record.incident import Incident

START: Final = "at the start"
"""The trouble that is no channel's: what Slack said when we started."""

log: Final = structlog.get_logger(__name__)


class Counts(Protocol):
    """Where numbers about the work go; the pipeline's Meters are such."""

    def count(self, name: str, value: int = 1, **labels: str) -> None: ...
    def observe(self, name: str, value: float, **labels: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """How fast and how patient; all in seconds but `clock`, which is in µs since 1970.

    pace: one request a channel and so long (Slack's own limit), after `burst` at once. first, longest:
    the first and the longest wait between tries. slow: between tries while our settings are wrong.
    recheck: between two looks whether a Slack that was not well at the start is now.
    """

    pace: float = 1.0
    burst: int = 4
    first: float = 0.5
    longest: float = 60.0
    slow: float = 60.0
    recheck: float = 10.0
    timeout: float = 10.0
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait(self, tries: int, answer: Answer) -> float:
        """How long to wait after the n-th failure: as long as Slack asks, or doubling with jitter."""
        if answer.do is Do.FIX:
            return self.slow
        backoff = min(self.first * 2.0 ** min(tries, 16), self.longest) * random.uniform(0.75, 1.0)
        return max(answer.after or 0.0, backoff)


@dataclass(slots=True)
class Lane:
    """A channel's pace (the generic cell rate algorithm, ITU-T I.371)."""

    tempo: Tempo
    due: float = 0.0

    async def turn(self) -> None:
        """Wait until a request may go."""
        now = self.tempo.monotonic()
        start = max(now, self.due)
        self.due = start + self.tempo.pace
        wait = start - now - self.tempo.pace * (self.tempo.burst - 1)
        if wait > 0:
            await self.tempo.sleep(wait)


@dataclass(slots=True, kw_only=True)
class Letter:
    """What has to be said where.

    shown: the message to be edited, None to post one. sought: it may have been posted without our knowing.
    since: no message about it can be older (s since 1970).
    """

    incident: str
    channel: str
    said: Notice
    shown: Incident | None = None
    sought: bool = False
    since: float = 0.0
    plain: bool = False


class Delivery:
    """Brings letters to a backend, one after the other. `trouble` says why it can't: channel → reason."""

    def __init__(self, backend: Backend, default: str, tempo: Tempo, counts: Counts) -> None:
        self.trouble: dict[str, str] = {}
        self._backend, self._default, self._tempo, self._counts = backend, default, tempo, counts
        self._lanes: dict[str, Lane] = {}

    async def bring(self, letter: Letter, found: Callable[[Answer], Incident]) -> Answer | None:
        """The message's address, or None when Slack refuses it for good. Retries for ever otherwise.

        found: makes an incident out of the address of a message that turned out to be there.
        """
        if letter.sought and letter.shown is None:
            await self._seek(letter, found)
        tries = 0
        while True:
            await self._lanes.setdefault(letter.channel, Lane(self._tempo)).turn()
            answer = await self._ask(letter)
            if answer.do is Do.DONE:
                self._well(letter.channel)
                return answer
            if answer.do in {Do.WAIT, Do.ASK, Do.FIX}:
                await self._pause(letter.channel, answer, tries)
                tries += 1
                if answer.do is Do.ASK:
                    await self._seek(letter, found)
            elif not self._changed(letter, answer):
                return None

    async def _ask(self, letter: Letter) -> Answer:
        if letter.shown is not None:
            return await self._backend.edit(letter.shown, letter.said, plain=letter.plain)
        return await self._backend.post(letter.channel, letter.incident, letter.said, plain=letter.plain)

    async def _seek(self, letter: Letter, found: Callable[[Answer], Incident]) -> None:
        """Wait until Slack answers a harmless question; look for the message meanwhile.

        So a Slack that is down sees one post that it may have taken, not one for every try.
        """
        tries = 0
        while True:
            answer = await self._backend.find(letter.channel, letter.incident, letter.since)
            if answer.do is Do.DONE and answer.ts and letter.shown is None:
                letter.shown = found(answer)
            if answer.do not in {Do.WAIT, Do.ASK, Do.FIX}:
                return
            await self._pause(letter.channel, answer, tries)
            tries += 1

    def _changed(self, letter: Letter, answer: Answer) -> bool:
        """Whether there is another way to say it; each is tried once."""
        self._counts.count("slack_refusals", code=answer.code)
        log.warning("slack refused a message", incident=letter.incident, reason=answer.advice)
        if answer.do is Do.MOVE:
            self.trouble[letter.channel] = (
                f"Slack, channel {letter.channel or 'of the webhook'}: {answer.advice}"
            )
        if answer.do is Do.ANEW and letter.shown is not None:
            letter.shown = None
        elif answer.do is Do.MOVE and self._default not in {"", letter.channel}:
            letter.channel, letter.shown = self._default, None
        elif answer.do is Do.PLAIN and not letter.plain:
            letter.plain = True
        else:
            self._counts.count("notifications", result="refused")
            log.error("an alert could not be delivered", incident=letter.incident, reason=answer.advice)
            return False
        return True

    async def _pause(self, channel: str, answer: Answer, tries: int) -> None:
        wait = self._tempo.wait(tries, answer)
        self._counts.count("slack_retries", code=answer.code)
        if channel not in self.trouble:
            log.warning("slack does not take messages", reason=answer.advice, next_try_s=round(wait, 1))
        self.trouble[channel] = f"Slack: {answer.advice}"
        await self._tempo.sleep(wait)

    def _well(self, channel: str) -> None:
        self.trouble.pop(START, None)
        if self.trouble.pop(channel, None):
            log.info("slack takes messages again", channel=channel)
