"""How dead letters leave for Kafka: tried again for as long as their topic can't be written."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError

from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.producer import NotSent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmvitals.record.log import Message
    from llmvitals.runtime.kafka.producer import Producer

log = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
"""Seconds without an acknowledgement after which nothing more is read; a last checkpoint may take longer."""
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 10.0
WHO: Final = "dead letters"


class DeadLetters:
    """Delivers dead letters, however long it takes; the driver reads nothing while `trouble` says why not.

    topic: its full name. ready: is told, under the name WHO, why the worker is not ready, or None.
    """

    def __init__(self, outbox: Producer, topic: str, ready: Callable[[str, str | None], None]) -> None:
        self._outbox, self._topic, self._ready = outbox, topic, ready
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None] | None] = set()
        self.blocked = asyncio.Event()
        """Set while the topic can't be written."""
        self.trouble: str | None = None
        """Why the topic can't be written, and what to do."""

    def send(self, messages: Sequence[Message]) -> asyncio.Future[None]:
        """Deliver these; the future is done when Kafka has acknowledged all of them, never with an error."""
        task = asyncio.create_task(self._insist(list(messages)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self) -> None:
        """The partitions are no longer ours: whoever is next sends what was not acknowledged."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._late.clear()
        self._clear()

    async def _insist(self, left: list[Message]) -> None:
        me, wait, alone = asyncio.current_task(), _FIRST_WAIT, False
        try:
            while True:
                attempt = asyncio.create_task(self._attempt(left, alone=alone))
                try:
                    if not (await asyncio.wait({attempt}, timeout=_PATIENCE))[0]:
                        await self._waits(me, None)
                    left, error = await attempt
                finally:
                    attempt.cancel()
                if not left:
                    return
                await self._waits(me, error)
                # A batch of many letters is larger than one: the topic may take them one by one.
                alone = isinstance(error, MessageSizeTooLargeError)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        finally:
            self._late.discard(me)
            if not self._late:
                self._clear()

    async def _attempt(
        self, messages: list[Message], *, alone: bool
    ) -> tuple[list[Message], BaseException | None]:
        """What could not be delivered, and the newest reason."""
        left: list[Message] = []
        why: BaseException | None = None
        for group in [[message] for message in messages] if alone else [messages]:
            sent: list[asyncio.Future[object]] = []
            try:
                for message in group:
                    sent += [await self._outbox.post(message)]
            except NotSent as refused:
                why = refused.__cause__ or refused
            if sent:
                await asyncio.wait(sent)
            for message, future in zip(group, sent, strict=False):
                if future.cancelled() or (error := future.exception()) is not None:
                    left.append(message)
                    why = why if future.cancelled() else error
            left += group[len(sent) :]
        return left, why

    async def _waits(self, me: asyncio.Task[None] | None, error: BaseException | None) -> None:
        self._late.add(me)
        why = await self._why(error)
        reason = f"{self._topic} can't be written, and no calls are read until it can: {why}"
        if me not in self._late:
            return  # forgotten meanwhile
        if reason != self.trouble:
            log.warning("%s", reason)
        self.trouble = reason
        self.blocked.set()
        self._ready(WHO, reason)

    async def _why(self, error: BaseException | None) -> str:
        if not await self._outbox.there(Topic.DEAD_LETTERS):
            return "it is not there. `llmvitals topics apply` creates it"
        if isinstance(error, MessageSizeTooLargeError):
            return "a dead letter is larger than its max.message.bytes. Raise that"
        if isinstance(error, TopicAuthorizationFailedError):
            return "the worker has no right to. Give it that"
        said = type(error).__name__ if error else f"no acknowledgement for {_PATIENCE:.0f} s"
        return f"{said}. Look at the topic and the brokers that hold it"

    def _clear(self) -> None:
        if self.trouble is None:
            return
        log.info("%s: it goes on", self._topic)
        self.trouble = None
        self.blocked.clear()
        self._ready(WHO, None)
