"""Sends calls from an application to Kafka, without ever blocking the application."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Mapping
from typing import Self

import orjson
from pydantic import BaseModel

from llmvitals.connection import Connection
from llmvitals.errors import BadCall
from llmvitals.publisher.queue import Event, EventQueue, log
from llmvitals.publisher.sender import THREAD, Sender
from llmvitals.record.call_fields import CallFields
from llmvitals.record.native import validate as check
from llmvitals.settings import connection, unknown

AnyCall = CallFields | Mapping[str, object] | BaseModel
"""A type checker knows the fields of a CallFields; any other mapping is published as well."""


class Publisher:
    """Publishes calls; it never blocks the application, and never raises into it.

        with Publisher() as publisher:
            publisher.publish({"id": "…", "ts": "2025-01-01T12:00:00Z", "model": "gpt-5", …})

    A thread with its own producer sends them. While Kafka can't be reached, calls wait in a queue and are
    sent later; calls that do not fit are dropped and counted. Safe to use from several threads, from async
    code, and after a fork. Problems are logged under `llmvitals.publisher`, each cause once a minute.

    settings: how to reach Kafka; by default from the environment and the file that LLMVITALS_CONFIG names
    (llmvitals.toml is not read). brokers: goes before the settings. topic: by default PREFIX.calls.v1.
    queue: how many calls may wait, unacknowledged ones included. validate: whether to check each call; by
    default the setting publisher_validate. One that the worker could not read is then not sent and counts as
    failed, and the warning names the field and what is wrong with it, but no value. It is for native calls:
    records of other formats are not valid ones. Wrong settings of the connection raise
    ConfigError here, at the start of the application; other settings are not read, and nothing raises later.
    """

    def __init__(
        self,
        settings: Connection | None = None,
        *,
        brokers: str | None = None,
        topic: str | None = None,
        queue: int = 10_000,
        validate: bool | None = None,
    ) -> None:
        if settings is None:
            for sentence in unknown():
                log.warning("%s", sentence)
        given = settings or connection(brokers=brokers)
        self._connection = given.model_copy(update={"brokers": brokers}) if brokers else given
        self._topic = topic or given.topic("calls")
        self._validate = given.publisher_validate if validate is None else validate
        self._limit = queue
        self._queues: dict[int, EventQueue] = {}
        self._queue  # noqa: B018 - makes the queue of this process

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
        return self._queue.counts["sent"]

    @property
    def dropped(self) -> int:
        """Calls that found the queue full or the publisher closed, or waited in it when close() timed out."""
        return self._queue.counts["dropped"]

    @property
    def failed(self) -> int:
        """Calls that can't be written as JSON, are invalid (`validate`), or that Kafka refused for good."""
        return self._queue.counts["failed"]

    @property
    def waiting(self) -> int:
        """Calls in the queue, and those sent but not yet acknowledged."""
        return self._queue.waiting

    @property
    def restarts(self) -> int:
        """How often the sending thread ended because of a bug and was started again."""
        return self._queue.restarts

    def publish(self, call: AnyCall) -> bool:
        """Queue a call: a mapping or a pydantic model. False when it was not queued.

        Keyed by its `session`, else its `trace_id`, so that the calls of a session share a partition.
        """
        return self._put(call, None)

    async def apublish(self, call: AnyCall) -> bool:
        """Queue a call and wait until Kafka has it. False when it was not queued or not delivered.

        When the waiting is cancelled, the call is sent nevertheless.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def resolve(delivered: bool) -> None:
            if not done.done():
                done.set_result(delivered)

        def done_elsewhere(delivered: bool) -> None:
            loop.call_soon_threadsafe(resolve, delivered)

        return self._put(call, done_elsewhere) and await done

    def close(self, timeout: float = 10.0) -> None:
        """Send the calls that wait, for at most `timeout` seconds; the rest counts as dropped."""
        atexit.unregister(self.close)
        queue = self._queues.get(os.getpid())
        if queue is not None:
            queue.close(timeout)
            if queue.thread is not None:
                queue.thread.join(timeout + 3.0)
            queue.clear()

    @property
    def _queue(self) -> EventQueue:
        """The queue of this process; after a fork, the thread and its queue stay with the parent."""
        pid = os.getpid()
        queue = self._queues.get(pid)
        if queue is None:
            queue = self._queues.setdefault(pid, EventQueue(self._limit))
            atexit.register(self.close, 2.0)
        return queue

    def _put(self, call: AnyCall, done: Callable[[bool], object] | None) -> bool:
        queue = self._queue
        try:
            event = _event(call, done)
            if self._validate:
                check(event.value)
        except BadCall as error:
            queue.refuse("failed", "a call is invalid and is not sent (%s)", error.message)
            return False
        except Exception as error:  # noqa: BLE001 - whatever the application hands in, it goes on
            queue.refuse(
                "failed", "a call can't be published: it can't be written as JSON (%s)", type(error).__name__
            )
            return False
        if not queue.put(event):
            return False
        if queue.thread is None or not queue.thread.is_alive():
            self._start_thread(queue)
        return True

    def _start_thread(self, queue: EventQueue) -> None:
        with queue.lock:
            if queue.thread is not None and queue.thread.is_alive():
                return
            queue.restarts += queue.thread is not None
            sender = Sender(queue, self._connection, self._topic)
            thread = threading.Thread(target=sender.run, name=THREAD, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # at the limit of threads, or while Python shuts down
                why = str(error)
            else:
                queue.thread = thread
                return
        queue.warn("thread", "the sending thread can't be started (%s): the next call tries again", why)


def _event(call: AnyCall, done: Callable[[bool], object] | None) -> Event:
    body = call.model_dump(mode="json", exclude_none=True) if isinstance(call, BaseModel) else dict(call)
    key = body.get("session") or body.get("trace_id")
    return Event(None if key is None else str(key).encode(), orjson.dumps(body), done)
