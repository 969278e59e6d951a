"""Sends records to Kafka and waits until they are there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmvitals.gateway.answer import Refusal
from llmvitals.publisher.queue import Event, EventQueue
from llmvitals.publisher.sender import THREAD, Sender

if TYPE_CHECKING:
    from llmvitals.gateway.records import Record
    from llmvitals.settings import Settings

MOST_BYTES: Final = 64 << 20
MOST_RECORDS: Final = 100_000
"""How much may wait for Kafka; beyond it, requests are refused."""
PATIENCE: Final = 10.0
"""Seconds that a request waits for Kafka."""
_LARGEST: Final = 1 << 30
"""The topic decides what is too large, not the client."""
_KAFKA_LIMIT: Final = 1_000_000
"""Bytes that a topic takes unless told otherwise, about."""
_LATER: Final = 5
"""Seconds after which a client may try again."""


class Delivery:
    """The records that wait for Kafka: a queue with a bound, and the publisher's sender."""

    def __init__(
        self, queue: EventQueue, *, patience: float = PATIENCE, most_bytes: int = MOST_BYTES
    ) -> None:
        self._queue, self._patience, self._most_bytes = queue, patience, most_bytes
        self._bytes = 0
        self._heard = 0.0
        """When Kafka acknowledged something, or the first record began to wait (monotonic seconds)."""
        self._thread: threading.Thread | None = None

    @classmethod
    def to_kafka(cls, settings: Settings, topic: str) -> Delivery:
        """Start a sender of its own to the topic."""
        delivery = cls(EventQueue(MOST_RECORDS))
        sender = Sender(delivery._queue, settings, topic, largest=_LARGEST)
        delivery._thread = threading.Thread(target=sender.run, name=THREAD, daemon=True)
        delivery._thread.start()
        return delivery

    @property
    def waiting(self) -> int:
        """Records that Kafka has not acknowledged."""
        return self._queue.waiting

    @property
    def is_down(self) -> bool:
        """Whether records wait, and Kafka has acknowledged none for as long as a request waits."""
        return bool(self.waiting) and time.monotonic() - self._heard > self._patience

    async def deliver(self, records: Sequence[Record]) -> None:
        """Return when Kafka has acknowledged all of them.

        Raises Refusal: 429 if Kafka is behind, 503 if it is down, 413 or 503 if it refuses a record. After a
        429 or a 503 some of the records may arrive nevertheless, and a client that sends all of them again
        brings duplicates, which combine drops.
        """
        size = sum(len(record.value) for record in records)
        self._admit(len(records), size)
        before = self._queue.counts["sent"]
        answers = [self._put(record) for record in records]
        try:
            async with asyncio.timeout(self._patience):
                delivered = await asyncio.gather(*answers)
        except TimeoutError:
            raise (self._down() if self._queue.counts["sent"] == before else _behind()) from None
        if not all(delivered):
            raise self._refused(max(len(record.value) for record in records))

    def _admit(self, number: int, size: int) -> None:
        if self.is_down:
            raise self._down()
        if self._bytes + size > self._most_bytes or self.waiting + number > MOST_RECORDS:
            raise _behind()

    def _put(self, record: Record) -> asyncio.Future[bool]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        size = len(record.value)

        def resolve(delivered: bool) -> None:
            self._bytes -= size
            if delivered:
                self._heard = time.monotonic()
            if not answer.done():
                answer.set_result(delivered)

        if not self.waiting:
            self._heard = time.monotonic()
        self._bytes += size

        def done(delivered: bool) -> None:  # on the sender's thread
            loop.call_soon_threadsafe(resolve, delivered)

        if not self._queue.put(Event(record.key, record.value, done)):
            resolve(delivered=False)
        return answer

    def _down(self) -> Refusal:
        return Refusal(
            503, "Kafka takes no records: try again later; the gateway's log has the cause", _LATER
        )

    def _refused(self, largest: int) -> Refusal:
        if self._queue.closing is not None:
            return Refusal(503, "The gateway is stopping: try again", _LATER)
        if largest > _KAFKA_LIMIT:
            return Refusal(
                413, "Kafka refused a record as too large: send fewer events at once, or raise "
                "max.message.bytes of the topic"
            )  # fmt: skip
        return Refusal(503, "Kafka refused a record: the gateway's log has the cause", _LATER)

    async def close(self) -> None:
        """Give Kafka as long as a request waits to take the rest; then it is dropped, and refused."""
        self._queue.close(self._patience if self.waiting else 0.0)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, self._patience + 3.0)
        self._queue.clear()


def _behind() -> Refusal:
    return Refusal(429, "Kafka is behind: too much waits for it; try again later", _LATER)
