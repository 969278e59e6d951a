"""The publisher's thread: from the queue to Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import AIOKafkaProducer

    from llmvitals.connection import Connection
    from llmvitals.publisher.queue import Event, EventQueue

THREAD: Final = "llmvitals-publisher"
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
_SLOW: Final = 2.0
"""Seconds after which it is said that Kafka has not taken a call."""


class Sender:
    """The thread's work: takes from the desk, gives to Kafka, lays back what may still succeed."""

    def __init__(self, desk: EventQueue, connection: Connection, topic: str) -> None:
        self._desk, self._connection, self._topic = desk, connection, topic
        self._flying: dict[asyncio.Future[Any], Event] = {}
        self._troubles = 0

    def run(self) -> None:
        """Until the desk is closed, and is empty or the time is up; what else ends it, begins it again."""
        crashes = 0
        while True:
            try:
                with asyncio.Runner() as runner:
                    runner.get_loop().set_exception_handler(self._surprised)
                    runner.run(self._run())
            except BaseException as error:  # noqa: BLE001 - nobody else would send
                why: BaseException = error
            else:
                return
            if self._desk.over:
                return
            self._desk.restarts += 1
            self._desk.tell(
                f"restart {type(why).__name__}",
                "sending was interrupted by %s and begins again: calls may arrive twice",
                type(why).__name__,
            )
            self._wait(_PAUSES[min(crashes, len(_PAUSES) - 1)])
            crashes += 1

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._desk.over:
            time.sleep(0.05)

    async def _run(self) -> None:
        task, self._flying = asyncio.current_task(), {}
        self._desk.attach(asyncio.get_running_loop(), lambda: task and task.cancel())
        producer = None
        try:
            producer = await self._connected()
            while await self._step(producer):
                pass
        finally:
            if producer is not None:
                await _stop(producer)

    async def _connected(self) -> AIOKafkaProducer:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - not loaded before it is needed

        from llmvitals.runtime.kafka.connect import client  # noqa: PLC0415

        _quieten()
        settings = client(self._connection, "publisher")
        while True:
            producer = AIOKafkaProducer(
                **settings,
                acks="all",
                linger_ms=5,
                max_batch_size=65_536,
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
                self._troubles = 0
                return producer

    async def _step(self, producer: AIOKafkaProducer) -> bool:
        """Send one or wait for one; False when there is nothing more to do."""
        closing = self._desk.closing is not None  # before the look: what is taken after it is not to be left
        event = self._desk.take()
        if event is not None:
            await self._send(producer, event)
        elif not closing:
            await self._desk.rest()
        elif self._flying:
            await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
        else:
            return False
        return True

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> None:
        slow = asyncio.get_running_loop().call_later(_SLOW, self._slow, producer)
        try:
            flight = await producer.send(self._topic, event.value, key=event.key)
        except Exception as error:  # noqa: BLE001 - as above
            await self._refused(event, error)
            return
        finally:
            slow.cancel()
        self._flying[flight] = event
        flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Future[Any]) -> None:
        event = self._flying.pop(flight, None)
        error = None if flight.cancelled() else flight.exception()
        if event is None:
            return
        if flight.cancelled() or _again(error):
            self._desk.back(event)
            self._warn(error)
        elif error is not None:
            self._fail(event, error)
        else:
            self._troubles = 0
            self._desk.settle(event, "sent")

    async def _refused(self, event: Event, error: Exception) -> None:
        if _again(error):
            self._desk.back(event)
            await self._pause(error)
        else:
            self._fail(event, error)

    def _fail(self, event: Event, error: BaseException | None) -> None:
        self._desk.settle(event, "failed")
        name = type(error).__name__
        self._desk.tell(f"failed {name}", "Kafka refused a call for %s: %s", self._topic, name)

    async def _pause(self, error: Exception) -> None:
        self._warn(error)
        wait = _PAUSES[min(self._troubles, len(_PAUSES) - 1)]
        self._troubles += 1
        await asyncio.sleep(wait)

    def _slow(self, producer: AIOKafkaProducer) -> None:
        """Say at once what aiokafka finds out in ten seconds."""
        if producer.client.cluster.partitions_for_topic(self._topic) is None:
            self._no_topic()
        else:
            self._say(None, "it does not answer")

    def _warn(self, error: BaseException | None) -> None:
        name = type(error).__name__
        if name == "UnknownTopicOrPartitionError":
            self._no_topic()
        else:
            self._say(error, name if error is not None else "the connection was closed")

    def _no_topic(self) -> None:
        self._desk.tell(
            "topic",
            "Kafka at %s has no topic %s (`llmvitals topics apply` creates it): calls wait, and are dropped "
            "once the queue is full",
            self._connection.brokers,
            self._topic,
        )

    def _say(self, error: BaseException | None, why: str) -> None:
        self._desk.tell(
            f"away {type(error).__name__}",
            "Kafka at %s does not take calls (%s): they wait, and are dropped once the queue is full",
            self._connection.brokers,
            why,
        )

    def _surprised(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Instead of asyncio's own handler, which would log whatever the exception quotes."""
        name = type(context.get("exception")).__name__
        self._desk.tell(f"loop {name}", "something went wrong beside the sending: %s", name)


def _again(error: BaseException | None) -> bool:
    """Whether the same record may be taken later; a timeout is not marked as such in aiokafka."""
    return bool(getattr(error, "retriable", False)) or type(error).__name__ == "KafkaTimeoutError"


def _elsewhere(_record: logging.LogRecord) -> bool:
    """Else aiokafka would log each attempt, twice a second, and at DEBUG what is sent."""
    return threading.current_thread().name != THREAD


def _quieten(only: Callable[[logging.LogRecord], bool] = _elsewhere) -> None:
    """Let aiokafka say nothing in the sender's thread; the application may use it in others."""
    for name in [each for each in logging.root.manager.loggerDict if each.partition(".")[0] == "aiokafka"]:
        logging.getLogger(name).addFilter(only)


async def _stop(producer: AIOKafkaProducer) -> None:
    # aiokafka would wait for the batches of a broker that is gone.
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), 1.0)
