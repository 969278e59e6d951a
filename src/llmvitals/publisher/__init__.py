"""Calls from an application to Kafka, which must never cost the application more than a queue."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Self

import orjson

from llmvitals.publisher.desk import Desk, Event
from llmvitals.publisher.sender import Sender
from llmvitals.settings import Settings, load


class Publisher:
    """Publishes calls without ever blocking or raising into the application.

        with Publisher() as publisher:
            publisher.publish({"id": "…", "ts": "2025-01-01T12:00:00Z", "model": "gpt-5", …})

    A thread with a producer of its own sends them. While Kafka can't be reached, calls wait in the queue
    and are sent once it can; what doesn't fit is dropped and counted. Safe to use from several threads,
    from async code, and after a fork.

    settings: how to reach Kafka; by default those of the environment, with `brokers` over them.
    topic: by default the settings' calls topic. queue: how many calls may wait, unacknowledged ones included.
    Wrong settings raise ConfigError here, at the start of the application; nothing raises later.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        brokers: str | None = None,
        topic: str | None = None,
        queue: int = 10_000,
    ) -> None:
        found = settings or load(brokers=brokers)
        self._settings = found.model_copy(update={"brokers": brokers}) if brokers else found
        self._topic = topic or found.topic("calls")
        self._limit = queue
        self._open()

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

    def publish(self, call: Mapping[str, Any] | Any) -> bool:
        """Hand over one call: a mapping, or anything with `model_dump`. False when it was not taken.

        Keyed by its `session`, else its `trace_id`, so that the calls of a session share a partition.
        """
        return self._put(call, None)

    async def apublish(self, call: Mapping[str, Any] | Any) -> bool:
        """The same, and wait until Kafka has it. False when it was not taken or not delivered."""
        done: Future[bool] = Future()
        return self._put(call, done) and await asyncio.wrap_future(done)

    def close(self, timeout: float = 10.0) -> None:
        """Send what waits, for at most `timeout` seconds; the rest counts as dropped."""
        atexit.unregister(self.close)
        if self._pid == os.getpid():
            self._desk.close(timeout)
            if self._thread is not None:
                self._thread.join(timeout + 3.0)
            self._desk.clear()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._desk = Desk(self._limit)
        self._thread: threading.Thread | None = None
        atexit.register(self.close, 2.0)

    def _put(self, call: Any, done: Future[bool] | None) -> bool:
        if self._pid != os.getpid():
            self._open()  # after a fork: the thread has stayed with the parent, and so does the queue
        try:
            event = _event(call, done)
        except Exception as error:  # noqa: BLE001 - whatever the application hands in, it goes on
            self._desk.refuse("failed", "a call can't be published: it is no JSON (%s)", type(error).__name__)
            return False
        if not self._desk.put(event):
            return False
        if self._thread is None:
            with contextlib.suppress(RuntimeError):  # no thread can be started while Python shuts down
                self._begin()
        return True

    def _begin(self) -> None:
        with self._desk.lock:
            if self._thread is None:
                sender = Sender(self._desk, self._settings, self._topic)
                self._thread = threading.Thread(target=sender.run, name="llmvitals-publisher", daemon=True)
                self._thread.start()


def _event(call: Any, done: Future[bool] | None) -> Event:
    dump = getattr(call, "model_dump", None)
    body = dump(mode="json", exclude_none=True) if dump is not None else dict(call)
    key = body.get("session") or body.get("trace_id")
    return Event(None if key is None else str(key).encode(), orjson.dumps(body), done)
