"""Calls from an application to Kafka, which must never cost the application more than a queue."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

import orjson

from llmvitals.connection import Connection
from llmvitals.publisher.queue import Event, EventQueue, log
from llmvitals.publisher.sender import THREAD, Sender
from llmvitals.settings import connection, unknown


class Publisher:
    """Publishes calls without ever blocking or raising into the application.

        with Publisher() as publisher:
            publisher.publish({"id": "…", "ts": "2025-01-01T12:00:00Z", "model": "gpt-5", …})

    A thread with a producer of its own sends them. While Kafka can't be reached, calls wait in the queue
    and are sent once it can; what doesn't fit is dropped and counted. Safe to use from several threads,
    from async code, and after a fork. What goes wrong is logged under `llmvitals.publisher`, each cause once
    a minute.

    settings: how to reach Kafka; by default those of the environment, with `brokers` over them, and of the
    file that LLMVITALS_CONFIG names: llmvitals.toml is not read. topic: by default PREFIX.calls.v1.
    queue: how many calls may wait, unacknowledged ones included.
    Wrong settings of the connection raise ConfigError here, at the start of the application; all others are
    not looked at, and nothing raises later.
    """

    def __init__(
        self,
        settings: Connection | None = None,
        *,
        brokers: str | None = None,
        topic: str | None = None,
        queue: int = 10_000,
    ) -> None:
        if settings is None:
            for sentence in unknown():
                log.warning("%s", sentence)
        found = settings or connection(brokers=brokers)
        self._connection = found.model_copy(update={"brokers": brokers}) if brokers else found
        self._topic = topic or found.topic("calls")
        self._limit = queue
        self._desks: dict[int, EventQueue] = {}
        self._desk  # noqa: B018 - makes that of this process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.close)

    @property
    def sent(self) -> int:
        """Calls that Kafka has acknowledged."""
        return self._desk.counts["sent"]

    @property
    def dropped(self) -> int:
        """Calls that found the queue full or the publisher closed, or were in it when the time was up."""
        return self._desk.counts["dropped"]

    @property
    def failed(self) -> int:
        """Calls that are no JSON, or that Kafka refused for good."""
        return self._desk.counts["failed"]

    @property
    def waiting(self) -> int:
        """Calls in the queue, and those sent but not yet acknowledged."""
        return self._desk.waiting

    @property
    def restarts(self) -> int:
        """How often sending was interrupted by a defect, and began again."""
        return self._desk.restarts

    def publish(self, call: Mapping[str, Any] | Any) -> bool:
        """Hand over one call: a mapping, or anything with `model_dump`. False when it was not taken.

        Keyed by its `session`, else its `trace_id`, so that the calls of a session share a partition.
        """
        return self._put(call, None)

    async def apublish(self, call: Mapping[str, Any] | Any) -> bool:
        """The same, and wait until Kafka has it. False when it was not taken or not delivered.

        When the waiting is cancelled, the call is sent nevertheless.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def resolve(delivered: bool) -> None:
            if not done.done():
                done.set_result(delivered)

        def tell(delivered: bool) -> None:
            loop.call_soon_threadsafe(resolve, delivered)

        return self._put(call, tell) and await done

    def close(self, timeout: float = 10.0) -> None:
        """Send what waits, for at most `timeout` seconds; the rest counts as dropped."""
        atexit.unregister(self.close)
        desk = self._desks.get(os.getpid())
        if desk is not None:
            desk.close(timeout)
            if desk.thread is not None:
                desk.thread.join(timeout + 3.0)
            desk.clear()

    @property
    def _desk(self) -> EventQueue:
        """That of this process: after a fork the thread has stayed with the parent, and so does its queue."""
        pid = os.getpid()
        found = self._desks.get(pid)
        if found is None:
            found = self._desks.setdefault(pid, EventQueue(self._limit))
            atexit.register(self.close, 2.0)
        return found

    def _put(self, call: Any, done: Callable[[bool], object] | None) -> bool:
        desk = self._desk
        try:
            event = _event(call, done)
        except Exception as error:  # noqa: BLE001 - whatever the application hands in, it goes on
            desk.refuse("failed", "a call can't be published: it is no JSON (%s)", type(error).__name__)
            return False
        if not desk.put(event):
            return False
        if desk.thread is None or not desk.thread.is_alive():
            self._begin(desk)
        return True

    def _begin(self, desk: EventQueue) -> None:
        with desk.lock:
            if desk.thread is not None and desk.thread.is_alive():
                return
            desk.restarts += desk.thread is not None
            sender = Sender(desk, self._connection, self._topic)
            thread = threading.Thread(target=sender.run, name=THREAD, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # at the limit of threads, or while Python shuts down
                why = str(error)
            else:
                desk.thread = thread
                return
        desk.tell("thread", "the sending thread can't be started (%s): the next call tries again", why)


def _event(call: Any, done: Callable[[bool], object] | None) -> Event:
    dump = getattr(call, "model_dump", None)
    body = dump(mode="json", exclude_none=True) if dump is not None else dict(call)
    key = body.get("session") or body.get("trace_id")
    return Event(None if key is None else str(key).encode(), orjson.dumps(body), done)
