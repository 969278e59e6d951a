"""Where messages leave for Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from llmvitals.errors import LlmvitalsError
from llmvitals.runtime.kafka.connect import client
from llmvitals.runtime.kafka.topic_ids import topic_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.record.log import Message, Topic
    from llmvitals.settings import Settings

TIMEOUT_MS = 15_000


class NotSent(LlmvitalsError):
    """Kafka won't take a record: it is too large, its topic is gone, or Kafka is away for too long."""


async def acknowledged(futures: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Wait for what `Outbox.post` gave; where Kafka has put each record. Raises NotSent.

    Whoever waits may be cancelled without harm to what is on its way.
    """
    futures = list(futures)
    if futures:
        await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
    try:
        for future in futures:
            if future.done():
                future.result()
        return [future.result() for future in futures]
    except KafkaError as error:
        raise NotSent(f"Kafka did not acknowledge a record within {TIMEOUT_MS // 1000} s: {error}") from error
    except asyncio.CancelledError as error:
        raise NotSent("A record was given up before Kafka acknowledged it") from error


class Producer:
    """A producer that waits for all replicas and gives up on a message after 15 s.

    It is not idempotent: a frame that arrives twice changes nothing, and aiokafka's idempotent producer
    can end with OutOfOrderSequenceNumber after the broker was away (aiokafka issue 1017).
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self._name = settings, name
        self._producer: Any = None

    async def start(self) -> None:
        """Connect. Raises KafkaError when Kafka can't be reached."""
        self._producer = AIOKafkaProducer(
            **client(self._settings, self._name),
            acks="all",
            enable_idempotence=False,
            request_timeout_ms=TIMEOUT_MS,
            linger_ms=2,
            max_batch_size=131_072,
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is waiting, for a few seconds at most, and close."""
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), 5)
            except TimeoutError:
                self._producer = None

    async def post(self, message: Message) -> asyncio.Future[Any]:
        """Hand a message over; the future is done when Kafka has acknowledged it, or never will.

        Raises NotSent.
        """
        topic = self._settings.topic(message.topic)
        try:
            future: asyncio.Future[Any] = await self._producer.send(
                topic,
                message.value,
                key=message.key,
                partition=message.partition,
                headers=list(message.headers),
            )
        except KafkaError as error:
            raise NotSent(f"A record for {topic} can't be sent: {error}") from error
        return future

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send and wait for every acknowledgement. Raises NotSent for one that won't come."""
        await acknowledged([await self.post(message) for message in messages])

    async def partitions(self, topic: Topic) -> int:
        """How many partitions the topic has."""
        return len(await self._producer.partitions_for(self._settings.topic(topic)))

    async def there(self, topic: Topic) -> bool:
        """Whether the topic is on the broker; True where that can't be known now."""
        name = self._settings.topic(topic)
        try:
            return name in await topic_ids(self._producer.client, [name])
        except KafkaError:
            return True
