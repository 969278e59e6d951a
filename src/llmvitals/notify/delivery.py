"""One message to its place, by whichever of its forms and channels Slack takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from llmvitals.errors import SinkError
from llmvitals.notify.answer import Answer, Backend, Do

if TYPE_CHECKING:
    from llmvitals.notify.message import Notice
    from llmvitals.record.incident import Incident

START: Final = "at the start"
"""The trouble that is no channel's: what Slack said when we started."""
_LATER: Final = frozenset({Do.WAIT, Do.ASK, Do.FIX})

log: Final = structlog.get_logger(__name__)


class Counts(Protocol):
    """Where numbers about the work go; the pipeline's Meters are such."""

    def count(self, name: str, value: int = 1, **labels: str) -> None: ...
    def observe(self, name: str, value: float, **labels: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """How fast and how patient; all in seconds but `clock`, which is in µs since 1970.

    pace: one request a channel and so long (Slack's own limit), after `burst` at once. patience: for how
    long one call of `take` goes on with a storm. slow: between tries while our settings are wrong.
    timeout: of one request.
    """

    pace: float = 1.0
    burst: int = 4
    patience: float = 5.0
    slow: float = 60.0
    timeout: float = 10.0
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


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
    """Brings letters to a backend, one after the other. `trouble` says why it can't: channel → reason.

    nowhere: the channels, and why, whose letters no channel took since the caller cleared it; they are not
    asked again until then, so that the letters of other channels get their turn.
    """

    def __init__(self, backend: Backend, default: str, tempo: Tempo, counts: Counts) -> None:
        self.trouble: dict[str, str] = {}
        self.nowhere: dict[str, str] = {}
        self._backend, self._default, self._tempo, self._counts = backend, default, tempo, counts
        self._lanes: dict[str, Lane] = {}
        self._doubts: set[str] = set()

    async def check(self) -> None:
        """Ask Slack whether it knows us. Raises SinkError (retry) that says what is wrong."""
        answer = await self._backend.check()
        if answer.do in _LATER:
            raise self._later(START, answer)
        self.trouble.pop(START, None)

    async def bring(self, letter: Letter, found: Callable[[Answer], Incident]) -> Answer | None:
        """The message's address, or None: Slack refuses it for good, or `nowhere` has its channel.

        found: makes an incident out of the address of a message that turned out to be there.
        Raises SinkError (retry) when it can't be brought now; the same letter may be brought again.
        """
        first = letter.channel
        if first in self.nowhere:
            return None
        if letter.incident in self._doubts or (letter.sought and letter.shown is None):
            await self._seek(letter, found)
        while True:
            await self._lanes.setdefault(letter.channel, Lane(self._tempo)).turn()
            answer = await self._ask(letter)
            if answer.do is Do.DONE:
                self.trouble.pop(letter.channel, None)
                return answer
            if answer.do is Do.ASK:
                self._doubts.add(letter.incident)
            if answer.do in _LATER:
                raise self._later(letter.channel, answer)
            if not self._changed(letter, answer):
                if answer.do is Do.MOVE:
                    self.nowhere[first] = self.nowhere[letter.channel] = self.trouble[letter.channel]
                return None

    async def _ask(self, letter: Letter) -> Answer:
        if letter.shown is not None:
            return await self._backend.edit(letter.shown, letter.said, plain=letter.plain)
        return await self._backend.post(letter.channel, letter.incident, letter.said, plain=letter.plain)

    async def _seek(self, letter: Letter, found: Callable[[Answer], Incident]) -> None:
        """Look for the message where that is allowed, else ask something harmless.

        So a Slack that is down sees one post that it may have taken, not one for every try.
        """
        answer = await self._backend.find(letter.channel, letter.incident, letter.since)
        if answer.do in _LATER:
            raise self._later(letter.channel, answer)
        if answer.do is Do.DONE and answer.ts and letter.shown is None:
            letter.shown = found(answer)
        self._doubts.discard(letter.incident)

    def _changed(self, letter: Letter, answer: Answer) -> bool:
        """Whether there is another way to say it; each is tried once."""
        self._counts.count("slack_refusals", code=answer.code)
        log.warning("slack refused a message", incident=letter.incident, reason=answer.advice)
        if answer.do in {Do.ANEW, Do.MOVE} and letter.shown is not None:
            letter.shown = None
            return True
        if answer.do is Do.PLAIN and not letter.plain:
            letter.plain = True
            return True
        where = f"Slack, channel {letter.channel}" if letter.channel else "Slack"
        self.trouble[letter.channel] = f"{where}: {answer.advice}"
        if answer.do is not Do.MOVE:
            self._counts.count("notifications", result="refused")
            log.error("an alert could not be delivered", incident=letter.incident, reason=answer.advice)
            return False
        moved = self._default not in {"", letter.channel}
        letter.channel = self._default or letter.channel
        return moved

    def _later(self, place: str, answer: Answer) -> SinkError:
        self._counts.count("slack_retries", code=answer.code)
        self.trouble[place] = f"Slack: {answer.advice}"
        slow = self._tempo.slow if answer.do is Do.FIX else None
        return SinkError(self.trouble[place], retry=True, retry_after=answer.after or slow)
