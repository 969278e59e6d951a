"""Sends messages to Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from llmvitals.errors import LlmvitalsError
from llmvitals.runtime.kafka.topic_ids import topic_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiokafka.structs import RecordMetadata

    from llmvitals.record.log import Message, Topic
    from llmvitals.settings import Settings

Delivery: TypeAlias = "asyncio.Future[RecordMetadata]"
"""A message on its way; done when Kafka has acknowledged it, or never will."""

TIMEOUT_MS = 15_000


class NotSent(LlmvitalsError):
    """Kafka did not take a record: it is too large, its topic is gone, or Kafka is away for too long."""


async def acknowledged(futures: Iterable[Delivery]) -> list[RecordMetadata]:
    """Wait for deliveries; return the place of each record. Raises NotSent.

    The caller may be cancelled: the deliveries go on.
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
            **self._settings.client(self._name),
            acks="all",
            enable_idempotence=False,
            request_timeout_ms=TIMEOUT_MS,
            linger_ms=2,
            max_batch_size=131_072,
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send the messages that wait, for a few seconds at most, and close."""
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), 5)
            except TimeoutError:
                self._producer = None

    async def post(self, message: Message) -> Delivery:
        """Start the delivery of a message. Raises NotSent."""
        topic = self._settings.topic(message.topic)
        partition = message.partition
        try:
            if partition is not None:
                partition %= len(await self._producer.partitions_for(topic))
            delivery: Delivery = await self._producer.send(
                topic,
                message.value,
                key=message.key,
                partition=partition,
                headers=list(message.headers),
            )
        except KafkaError as error:
            raise NotSent(f"A record for {topic} can't be sent: {error}") from error
        return delivery

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send and wait for every acknowledgement. Raises NotSent for one that won't come."""
        await acknowledged([await self.post(message) for message in messages])

    async def partitions(self, topic: Topic) -> int:
        """Return the number of the topic's partitions."""
        return len(await self._producer.partitions_for(self._settings.topic(topic)))

    async def there(self, topic: Topic) -> bool:
        """Return whether the topic exists; True when the broker does not answer."""
        name = self._settings.topic(topic)
        try:
            return name in await topic_ids(self._producer.client, [name])
        except KafkaError:
            return True
