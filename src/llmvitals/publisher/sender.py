"""The publisher's thread: from the queue to Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from llmvitals.connection import Connection
    from llmvitals.publisher.queue import Event, EventQueue

THREAD: Final = "llmvitals-publisher"
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_SLOW: Final = 2.0
"""Seconds without an answer after which a warning is logged."""


class Sender:
    """Takes events from the queue, sends them to Kafka, and puts back those that may still succeed.

    largest: the most bytes of a record; one that is larger fails.
    """

    def __init__(
        self, queue: EventQueue, connection: Connection, topic: str, *, largest: int = 1_048_576
    ) -> None:
        self._queue, self._connection, self._topic = queue, connection, topic
        self._largest = largest
        self._in_flight: dict[asyncio.Future[Any], Event] = {}
        self._failures = 0

    def run(self) -> None:
        """Send until the queue is closed, and empty or out of time; after any other end, start again."""
        crashes = 0
        while True:
            try:
                with asyncio.Runner() as runner:
                    runner.get_loop().set_exception_handler(self._loop_error)
                    runner.run(self._run())
            except BaseException as error:  # noqa: BLE001 - nobody else would send
                why: BaseException = error
            else:
                return
            if self._queue.over:
                return
            self._queue.restarts += 1
            self._queue.warn(
                f"restart {type(why).__name__}",
                "sending was interrupted by %s and starts again: calls may arrive twice",
                type(why).__name__,
            )
            self._wait(_PAUSES[min(crashes, len(_PAUSES) - 1)])
            crashes += 1

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._queue.over:
            time.sleep(0.05)

    async def _run(self) -> None:
        task, self._in_flight = asyncio.current_task(), {}
        self._queue.attach(asyncio.get_running_loop(), lambda: task and task.cancel())
        producer = None
        try:
            producer = await self._connected()
            while await self._next(producer):
                pass
        finally:
            if producer is not None:
                await _stop(producer)

    async def _connected(self) -> AIOKafkaProducer:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - not loaded before it is needed

        _silence_aiokafka()
        settings = self._connection.client("publisher")
        while True:
            producer = AIOKafkaProducer(
                **settings,
                acks="all",
                linger_ms=5,
                max_batch_size=65_536,
                max_request_size=self._largest,
                request_timeout_ms=10_000,
                retry_backoff_ms=500,
            )
            try:
                await producer.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
                await _stop(producer)
                await self._pause(error)
            except asyncio.CancelledError:
                await _stop(producer)
                raise
            else:
                self._failures = 0
                return producer

    async def _next(self, producer: AIOKafkaProducer) -> bool:
        """Send the next event, or wait for one; False when there is nothing more to do."""
        closing = self._queue.closing is not None  # read before `take`, so that no event is left behind
        event = self._queue.take()
        if event is not None:
            await self._send(producer, event)
        elif not closing:
            await self._queue.wait()
        elif self._in_flight:
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
        else:
            return False
        return True

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> None:
        slow = asyncio.get_running_loop().call_later(_SLOW, self._slow, producer)
        try:
            delivery = await producer.send(self._topic, event.value, key=event.key)
        except Exception as error:  # noqa: BLE001 - as above
            await self._not_accepted(event, error)
            return
        finally:
            slow.cancel()
        self._in_flight[delivery] = event
        delivery.add_done_callback(self._delivered)

    def _delivered(self, delivery: asyncio.Future[Any]) -> None:
        event = self._in_flight.pop(delivery, None)
        error = None if delivery.cancelled() else delivery.exception()
        if event is None:
            return
        if delivery.cancelled() or _retriable(error):
            self._queue.put_back(event)
            self._warn(error)
        elif error is not None:
            self._fail(event, error)
        else:
            self._failures = 0
            self._queue.finish(event, "sent")

    async def _not_accepted(self, event: Event, error: Exception) -> None:
        if _retriable(error):
            self._queue.put_back(event)
            await self._pause(error)
        else:
            self._fail(event, error)

    def _fail(self, event: Event, error: BaseException | None) -> None:
        self._queue.finish(event, "failed")
        name = type(error).__name__
        self._queue.warn(f"failed {name}", "Kafka refused a call for %s: %s", self._topic, name)

    async def _pause(self, error: Exception) -> None:
        self._warn(error)
        wait = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        await asyncio.sleep(wait)

    def _slow(self, producer: AIOKafkaProducer) -> None:
        """Warn early; aiokafka itself reports this only after ten seconds."""
        if producer.client.cluster.partitions_for_topic(self._topic) is None:
            self._no_topic()
        else:
            self._unreachable(None, "it does not answer")

    def _warn(self, error: BaseException | None) -> None:
        name = type(error).__name__
        if name == "UnknownTopicOrPartitionError":
            self._no_topic()
        else:
            self._unreachable(error, name if error is not None else "the connection was closed")

    def _no_topic(self) -> None:
        self._queue.warn(
            "topic",
            "Kafka at %s has no topic %s (`llmvitals topics apply` creates it): calls wait, and are dropped "
            "once the queue is full",
            self._connection.brokers,
            self._topic,
        )

    def _unreachable(self, error: BaseException | None, why: str) -> None:
        self._queue.warn(
            f"away {type(error).__name__}",
            "Kafka at %s does not take calls (%s): they wait, and are dropped once the queue is full",
            self._connection.brokers,
            why,
        )

    def _loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Replaces asyncio's handler, which would log the text of the exception, and so perhaps a call."""
        name = type(context.get("exception")).__name__
        self._queue.warn(f"loop {name}", "an error outside of sending: %s", name)


def _retriable(error: BaseException | None) -> bool:
    """Whether to send the same record again; aiokafka does not mark its timeout as retriable."""
    return bool(getattr(error, "retriable", False)) or type(error).__name__ == "KafkaTimeoutError"


def _other_thread(_record: logging.LogRecord) -> bool:
    """Whether to log. In our thread aiokafka would log each attempt, and at DEBUG the calls themselves."""
    return threading.current_thread().name != THREAD


def _silence_aiokafka() -> None:
    """Drop aiokafka's log records of the sender's thread; the application may use it in others."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "aiokafka"]
    for name in names:
        logging.getLogger(name).addFilter(_other_thread)


async def _stop(producer: AIOKafkaProducer) -> None:
    # aiokafka would wait for the batches of a broker that is gone.
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), 1.0)
