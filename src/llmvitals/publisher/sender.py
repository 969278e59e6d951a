"""The publisher's thread: from the queue to Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

    from llmvitals.publisher.desk import Desk, Event
    from llmvitals.settings import Settings

_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)


class Sender:
    """The thread's work: takes from the desk, gives to Kafka, lays back what may still succeed."""

    def __init__(self, desk: Desk, settings: Settings, topic: str) -> None:
        self._desk, self._settings, self._topic = desk, settings, topic
        self._flying: dict[asyncio.Future[Any], Event] = {}
        self._troubles = 0

    def run(self) -> None:
        """Until the desk is closed, and is empty or the time is up."""
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._run())

    async def _run(self) -> None:
        task = asyncio.current_task()
        self._desk.attach(asyncio.get_running_loop(), lambda: task and task.cancel())
        producer = None
        try:
            producer = await self._connected()
            while await self._step(producer):
                pass
        finally:
            if producer is not None:
                await _stop(producer)
            for event in self._flying.values():
                self._desk.settle(event, "dropped")

    async def _connected(self) -> AIOKafkaProducer:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - not loaded before it is needed

        from llmvitals.kafka.connect import client  # noqa: PLC0415

        while True:
            producer = AIOKafkaProducer(
                **client(self._settings, "publisher"),
                acks="all",
                linger_ms=5,
                max_batch_size=65_536,
                request_timeout_ms=10_000,
                retry_backoff_ms=500,  # aiokafka logs each retry
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
        event = self._desk.take()
        if event is not None:
            await self._send(producer, event)
        elif self._desk.closing is None:
            await self._desk.rest()
        elif self._flying:
            await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
        else:
            return False
        return True

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> None:
        try:
            flight = await producer.send(self._topic, event.value, key=event.key)
        except asyncio.CancelledError:
            self._desk.back(event)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            await self._refused(event, error)
            return
        self._flying[flight] = event
        flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Future[Any]) -> None:
        event = self._flying.pop(flight)
        error = None if flight.cancelled() else flight.exception()
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
        self._desk.tell("Kafka refused a call: %s", type(error).__name__)

    async def _pause(self, error: Exception) -> None:
        self._warn(error)
        wait = _PAUSES[min(self._troubles, len(_PAUSES) - 1)]
        self._troubles += 1
        await asyncio.sleep(wait)

    def _warn(self, error: BaseException | None) -> None:
        self._desk.tell(
            "Kafka at %s does not take calls (%s): they wait, and are dropped once the queue is full",
            self._settings.brokers,
            type(error).__name__,
        )


def _again(error: BaseException | None) -> bool:
    """Whether the same record may be taken later; a timeout is not marked as such in aiokafka."""
    return bool(getattr(error, "retriable", False)) or type(error).__name__ == "KafkaTimeoutError"


async def _stop(producer: AIOKafkaProducer) -> None:
    # aiokafka would wait for the batches of a broker that is gone.
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), 1.0)
