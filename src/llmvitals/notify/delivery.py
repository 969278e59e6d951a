"""One message to its place, by whichever of its forms and channels Slack takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.rate_limit import RateLimiter, RateLimits, Rests
from llmvitals.notify.slack.answer import Answer, Do
from llmvitals.record.message_state import MessageState, Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmvitals.errors import SinkError
    from llmvitals.meters import Meters
    from llmvitals.notify.protocol import Backend

START: Final = "at the start"
"""The trouble that is no channel's: what Slack said when we started."""
_LATER: Final = frozenset({Do.WAIT, Do.ASK, Do.FIX})

log: Final = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Letter:
    """What has to be said where; `bring` ticks off what is said, so the same letter may be brought again.

    place: the message to be edited, None to post one in `channel`. replies: for its thread, oldest first, as
    notify/changes writes them; what can't thread posts the card again if there are any. sought: any of it
    may have been said without our knowing, as after a restart. since: no message about it can be older (s
    since 1970). told: the card is said, the replies are left.
    """

    card: MessageState
    channel: str
    place: Place | None = None
    replies: list[str] = field(default_factory=list)
    sought: bool = False
    since: float = 0.0
    plain: bool = False
    told: bool = False


class Delivery:
    """Brings letters to a backend, one after the other. `trouble` says why it can't: channel → reason.

    A channel in trouble is left alone for as long as Slack asked or patience demands; a letter for it is
    not brought meanwhile, and costs no request.
    """

    def __init__(self, backend: Backend, default: str, tempo: RateLimits, meters: Meters) -> None:
        self.trouble: dict[str, str] = {}
        self._backend, self._default, self._tempo, self._meters = backend, default, tempo, meters
        self._posts: dict[str, RateLimiter] = {}
        self._edits = RateLimiter(tempo.edit_pace, tempo.edit_burst, tempo)
        self._rests = Rests(tempo)
        self._doubts: set[str] = set()

    async def check(self) -> None:
        """Ask Slack whether it knows us. Raises SinkError (retry) that says what is wrong."""
        answer = await self._backend.check()
        if answer.do in _LATER:
            raise self._later(START, answer)
        self.trouble.pop(START, None)
        self._rests.over(START)

    def doubts(self, incident: str) -> bool:
        """Whether something about it may have been said although no answer came."""
        return incident in self._doubts

    async def look(self, letter: Letter) -> Place | None:
        """The place of a message that was posted without our knowing; None: none that one may see.

        Raises as `bring` does.
        """
        self._rests.check(START, letter.channel)
        await self._seek(letter)
        return letter.place

    async def bring(self, letter: Letter) -> Place | None:
        """The message's place, or None: Slack refuses it for good, which is logged and counted.

        Raises SinkError (retry, retry_after in seconds) when it can't be brought now: Slack is away, asks to
        wait, or no channel takes it; Busy where only too many edits are waiting.
        """
        first = letter.channel
        self._rests.check(START, first)
        if letter.card.incident in self._doubts or letter.sought:
            await self._seek(letter)
        while step := self._step(letter):
            answer = await step(letter)
            if answer.do is Do.DONE:
                self._done(letter, answer)
                continue
            if answer.do is Do.ASK:
                self._doubts.add(letter.card.incident)
            if answer.do in _LATER:
                raise self._later(letter.channel, answer)
            if not self._another(letter, answer):
                if answer.do is Do.MOVE:
                    raise self._rests.begin(first, self.trouble[letter.channel], self._tempo.slow)
                return None
        return letter.place or Place()

    def _step(self, letter: Letter) -> Callable[[Letter], Awaitable[Answer]] | None:
        """What comes next, if anything is left."""
        if not self._backend.threads:
            news = letter.place is None or letter.replies
            return self._post if news and not letter.told else None
        if not letter.told:
            return self._post if letter.place is None else self._edit
        return self._reply if letter.replies else None

    async def _post(self, letter: Letter) -> Answer:
        await self._turn(letter.channel)
        return await self._backend.post(letter.channel, letter.card, plain=letter.plain)

    async def _edit(self, letter: Letter) -> Answer:
        # All channels share the edits: what waits for many others would hold up whoever brings the letters.
        await self._edits.turn(self._tempo.patience)
        return await self._backend.edit(letter.place or Place(), letter.card, plain=letter.plain)

    async def _reply(self, letter: Letter) -> Answer:
        await self._turn(letter.channel)
        return await self._backend.reply(letter.place or Place(), letter.replies[0])

    async def _turn(self, channel: str) -> None:
        tempo = self._tempo
        await self._posts.setdefault(channel, RateLimiter(tempo.pace, tempo.burst, tempo)).turn()

    def _done(self, letter: Letter, answer: Answer) -> None:
        for place in (START, letter.channel):
            self.trouble.pop(place, None)
            self._rests.over(place)
        if not self._backend.threads:
            letter.told, letter.replies, letter.place = True, [], answer.place
        elif letter.told:
            del letter.replies[0]
        else:
            letter.told = True
            letter.place = answer.place if letter.place is None else letter.place

    async def _seek(self, letter: Letter) -> None:
        """Look for what may have been said where that is allowed, else ask something harmless.

        So a Slack that is down sees one post that it may have taken, not one for every try.
        """
        answer = None
        if letter.place is None:
            answer = await self._backend.find(letter.channel, letter.card.incident, letter.since)
            if answer.do is Do.DONE and answer.place.ts:
                letter.place = answer.place
        while letter.place is not None and letter.replies and (answer is None or answer.do is Do.DONE):
            answer = await self._backend.heard(letter.place, letter.replies[0])
            if answer.do is not Do.DONE or not answer.place.ts:
                break
            del letter.replies[0]
        if answer is None:
            answer = await self._backend.check()
        if answer.do in _LATER:
            raise self._later(letter.channel, answer)
        letter.sought = False
        self._doubts.discard(letter.card.incident)

    def _another(self, letter: Letter, answer: Answer) -> bool:
        """Whether there is another way to say it; each is tried once."""
        incident = letter.card.incident
        self._meters.count("slack_refusals", code=answer.code)
        log.warning("slack refused a message", incident=incident, reason=answer.advice)
        if answer.do in {Do.ANEW, Do.MOVE} and letter.place is not None:
            # A new message says all of it; its thread begins with what comes next.
            letter.place, letter.told, letter.replies = None, False, []
            return True
        if answer.do is Do.PLAIN and letter.told:
            del letter.replies[0]
            return True
        if answer.do is Do.PLAIN and not letter.plain:
            letter.plain = True
            return True
        where = f"Slack, channel {letter.channel}" if letter.channel else "Slack"
        self.trouble[letter.channel] = f"{where}: {answer.advice}"
        if answer.do is not Do.MOVE:
            self._meters.count("notifications", result="refused")
            log.error("an alert could not be delivered", incident=incident, reason=answer.advice)
            return False
        moved = self._default not in {"", letter.channel}
        letter.channel = self._default or letter.channel
        return moved

    def _later(self, place: str, answer: Answer) -> SinkError:
        self._meters.count("slack_retries", code=answer.code)
        self.trouble[place] = f"Slack: {answer.advice}"
        slow = self._tempo.slow if answer.do is Do.FIX else None
        # A limit is the channel's; whatever else keeps Slack from answering keeps it from all of them.
        rests = place if answer.after is not None else START
        return self._rests.begin(rests, self.trouble[place], answer.after or slow)
