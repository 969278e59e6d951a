"""One message to its place, by whichever of its forms and channels the notifier accepts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.errors import SinkError
from llmvitals.notify.protocol import Answer, Do
from llmvitals.notify.retry import Backoff
from llmvitals.rate_limit import RateLimiter
from llmvitals.record.notification import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from llmvitals.meters import Meters
    from llmvitals.notify.protocol import Notifier
    from llmvitals.rate_limit import RateLimits
    from llmvitals.record.notification import Notification
    from llmvitals.record.user_action import UserAction

START: Final = "at the start"
"""The trouble that is no channel's: what the notifier answered when we started."""
_LATER: Final = frozenset({Do.WAIT, Do.ASK, Do.FIX})

_REQUESTS: Final = 3
"""The most requests that a notifier makes for one answer."""

log: Final = structlog.get_logger(__name__)


class Delivery:
    """Brings notifications to people by one notifier, with its retries and rate limits.

    A channel in trouble is left alone for as long as the notifier asked or patience demands; a notification
    for it is not sent meanwhile, and costs no request. default: the channel where another can't be posted to.
    """

    def __init__(self, notifier: Notifier, default: str, limits: RateLimits, meters: Meters) -> None:
        self._troubles: dict[str, str] = {}
        self._notifier, self._default, self._limits, self._meters = notifier, default, limits, meters
        self._title = notifier.title or notifier.name
        self._posts: dict[str, RateLimiter] = {}
        self._edits = RateLimiter(limits.edit_pace, limits.edit_burst, limits)
        self._backoff = Backoff(limits)
        self._doubtful: set[str] = set()

    @property
    def name(self) -> str:
        """The notifier's."""
        return self._notifier.name

    async def open(self) -> None:
        """Make the connection's things."""
        await self._notifier.open()

    async def close(self) -> None:
        """Give everything back."""
        await self._notifier.close()

    async def listen(self) -> None:
        """Begin to hear what people do."""
        await self._notifier.listen()

    async def rest(self) -> None:
        """Hear nothing more."""
        await self._notifier.rest()

    def actions(self) -> Sequence[UserAction]:
        """Return what people did since the last call, oldest first."""
        return self._notifier.actions()

    def troubles(self) -> list[str]:
        """Return why it can't deliver or listen at present, and what to do."""
        return list(filter(None, (*self._troubles.values(), self._notifier.trouble())))

    async def check(self) -> None:
        """Ask the notifier whether it knows us. Raises SinkError (retry) that says what is wrong."""
        answer = await self._asked(self._notifier.check())
        if answer.do in _LATER:
            raise self._later(START, answer)
        self._troubles.pop(START, None)
        self._backoff.succeeded(START)

    def doubts(self, incident: str) -> bool:
        """Whether something about an incident may have been said although no answer came."""
        return incident in self._doubtful

    async def look(self, notification: Notification) -> Place | None:
        """Return the place of a message that was posted without our knowing; None: there is none to be seen.

        Raises as `deliver` does.
        """
        self._backoff.check(START, notification.channel)
        await self._search(notification)
        return notification.place

    async def deliver(self, notification: Notification) -> Place | None:
        """Say it; return the message's place, or None: it is refused for good, which is logged and counted.

        Raises SinkError (retry, retry_after in seconds) when it can't be said now: the notifier is away, asks
        to wait, or no channel takes it; Busy where only too many edits are waiting.
        """
        first = notification.channel
        self._backoff.check(START, first)
        if self._notifier.threads and not notification.thread:
            notification.replies = [reply for reply in notification.replies if reply.asked]
        if notification.state.incident in self._doubtful or notification.uncertain:
            await self._search(notification)
        while step := self._step(notification):
            answer = await self._asked(step(notification))
            if answer.do is Do.DONE:
                self._done(notification, answer)
                continue
            if answer.do is Do.ASK:
                self._doubtful.add(notification.state.incident)
            if answer.do in _LATER:
                raise self._later(notification.channel, answer)
            if not self._other_way(notification, answer):
                if answer.do is Do.MOVE:
                    raise self._backoff.failed(first, self._troubles[notification.channel], self._limits.slow)
                return None
        return notification.place or Place()

    def _step(self, notification: Notification) -> Callable[[Notification], Awaitable[Answer]] | None:
        """Return what comes next, if anything is left."""
        if not self._notifier.threads:
            news = notification.place is None or notification.replies
            return self._post if news and not notification.sent else None
        if not notification.sent:
            return self._post if notification.place is None else self._edit
        return self._reply if notification.replies else None

    async def _post(self, notification: Notification) -> Answer:
        await self._turn(notification.channel)
        state = replace(notification.state, mention=notification.mention)
        return await self._notifier.post(notification.channel, state, plain=notification.plain)

    async def _edit(self, notification: Notification) -> Answer:
        # All channels share the edits: waiting for many others would hold up the whole round.
        limits = self._limits
        spare = -limits.edit_pace * (limits.edit_burst // 2)
        await self._edits.turn(spare if notification.moved else limits.patience)
        return await self._notifier.edit(
            notification.place or Place(), notification.state, plain=notification.plain
        )

    async def _reply(self, notification: Notification) -> Answer:
        await self._turn(notification.channel)
        return await self._notifier.reply(notification.place or Place(), notification.replies[0])

    async def _turn(self, channel: str) -> None:
        limits = self._limits
        await self._posts.setdefault(channel, RateLimiter(limits.pace, limits.burst, limits)).turn()

    def _done(self, notification: Notification, answer: Answer) -> None:
        for place in (START, notification.channel):
            self._troubles.pop(place, None)
            self._backoff.succeeded(place)
        if not self._notifier.threads:
            notification.sent, notification.replies, notification.place = True, [], answer.place
        elif notification.sent:
            del notification.replies[0]
        else:
            notification.sent = True
            notification.place = answer.place if notification.place is None else notification.place

    async def _search(self, notification: Notification) -> None:
        """Look for what may have been said where that is possible, else ask something harmless.

        So a notifier that is down gets one post that it may have accepted, not one for every try.
        """
        answer = None
        if notification.place is None:
            answer = await self._asked(
                self._notifier.find(notification.channel, notification.state.incident, notification.since)
            )
            if answer.do is Do.DONE and answer.place.ts:
                notification.place = answer.place
        while (
            notification.place is not None
            and notification.replies
            and (answer is None or answer.do is Do.DONE)
        ):
            answer = await self._asked(self._notifier.heard(notification.place, notification.replies[0]))
            if answer.do is not Do.DONE or not answer.place.ts:
                break
            del notification.replies[0]
        if answer is None:
            answer = await self._asked(self._notifier.check())
        if answer.do in _LATER:
            raise self._later(notification.channel, answer)
        notification.uncertain = False
        self._doubtful.discard(notification.state.incident)

    async def _asked(self, request: Awaitable[Answer]) -> Answer:
        """Return the answer; a notifier that raises or never answers is one that is away."""
        try:
            async with asyncio.timeout(self._limits.timeout * _REQUESTS):
                return await request
        except SinkError:  # a rate limit of ours
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the alert is kept and tried again
            code = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            return Answer(Do.ASK, code, f"{code}: {self._title} does not answer as it should")

    def _other_way(self, notification: Notification, answer: Answer) -> bool:
        """Choose another way to say it, each once; return whether there is one."""
        incident = notification.state.incident
        self._meters.count("slack_refusals", code=answer.code)
        log.warning("%s refused a message", self.name, incident=incident, reason=answer.advice)
        if answer.do in {Do.REPOST, Do.MOVE} and notification.place is not None:
            # A new message says all of it; its thread begins with what comes next.
            notification.place, notification.sent, notification.replies = None, False, []
            notification.mention = ()
            return True
        if answer.do is Do.SIMPLIFY and notification.sent:
            del notification.replies[0]
            return True
        if answer.do is Do.SIMPLIFY and not notification.plain:
            notification.plain = True
            return True
        where = f"{self._title}, channel {notification.channel}" if notification.channel else self._title
        self._troubles[notification.channel] = f"{where}: {answer.advice}"
        if answer.do is not Do.MOVE:
            self._meters.count("notifications", result="refused")
            log.error("an alert could not be delivered", incident=incident, reason=answer.advice)
            return False
        moved = self._default not in {"", notification.channel}
        notification.channel = self._default or notification.channel
        return moved

    def _later(self, place: str, answer: Answer) -> SinkError:
        self._meters.count("slack_retries", code=answer.code)
        self._troubles[place] = f"{self._title}: {answer.advice}"
        slow = self._limits.slow if answer.do is Do.FIX else None
        # A limit is the channel's; whatever else is wrong concerns all of them.
        paused = place if answer.after is not None else START
        return self._backoff.failed(paused, self._troubles[place], answer.after or slow)
