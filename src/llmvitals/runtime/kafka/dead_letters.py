"""Delivers dead letters: tries again for as long as their topic can't be written."""

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
    from llmvitals.runtime.kafka.producer import Delivery, Producer

log = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
"""Seconds without an acknowledgement after which nothing more is read; a last checkpoint may take longer."""
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 10.0
WHO: Final = "dead letters"


class DeadLetters:
    """Delivers dead letters, however long it takes; the runner reads nothing while `trouble` is set.

    topic: its full name. ready: called with WHO and the reason why the worker is not ready, or None.
    """

    def __init__(self, producer: Producer, topic: str, ready: Callable[[str, str | None], None]) -> None:
        self._producer, self._topic, self._ready = producer, topic, ready
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None] | None] = set()
        self.blocked = asyncio.Event()
        """Set while the topic can't be written."""
        self.trouble: str | None = None
        """Why the topic can't be written, and what to do."""

    def send(self, messages: Sequence[Message]) -> asyncio.Future[None]:
        """Start delivering; the future is done when Kafka has acknowledged all, and never has an error."""
        task = asyncio.create_task(self._insist(list(messages)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self) -> None:
        """Give the partitions up; the next owner sends again what was not acknowledged."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._late.clear()
        self._clear()

    async def _insist(self, left: list[Message]) -> None:
        this, wait, singly = asyncio.current_task(), _FIRST_WAIT, False
        try:
            while True:
                attempt = asyncio.create_task(self._attempt(left, singly=singly))
                try:
                    if not (await asyncio.wait({attempt}, timeout=_PATIENCE))[0]:
                        await self._waits(this, None)
                    left, error = await attempt
                finally:
                    attempt.cancel()
                if not left:
                    return
                await self._waits(this, error)
                # A batch is larger than each letter: the topic may take them one by one.
                singly = isinstance(error, MessageSizeTooLargeError)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        finally:
            self._late.discard(this)
            if not self._late:
                self._clear()

    async def _attempt(
        self, messages: list[Message], *, singly: bool
    ) -> tuple[list[Message], BaseException | None]:
        """Return the messages that could not be delivered, and the newest reason."""
        left: list[Message] = []
        why: BaseException | None = None
        for group in [[message] for message in messages] if singly else [messages]:
            sent: list[Delivery] = []
            try:
                for message in group:
                    sent += [await self._producer.post(message)]
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

    async def _waits(self, task: asyncio.Task[None] | None, error: BaseException | None) -> None:
        self._late.add(task)
        why = await self._why(error)
        reason = f"{self._topic} can't be written, and no calls are read until it can: {why}"
        if task not in self._late:
            return  # forgotten meanwhile
        if reason != self.trouble:
            log.warning("%s", reason)
        self.trouble = reason
        self.blocked.set()
        self._ready(WHO, reason)

    async def _why(self, error: BaseException | None) -> str:
        if not await self._producer.there(Topic.DEAD_LETTERS):
            return "it does not exist. `llmvitals topics apply` creates it"
        if isinstance(error, MessageSizeTooLargeError):
            return "a dead letter is larger than its max.message.bytes. Raise that"
        if isinstance(error, TopicAuthorizationFailedError):
            return "the worker has no permission. Grant it"
        what = type(error).__name__ if error else f"no acknowledgement for {_PATIENCE:.0f} s"
        return f"{what}. Look at the topic and the brokers that hold it"

    def _clear(self) -> None:
        if self.trouble is None:
            return
        log.info("%s can be written again", self._topic)
        self.trouble = None
        self.blocked.clear()
        self._ready(WHO, None)
