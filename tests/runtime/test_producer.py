"""The producer, on a broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from llmvitals.record.log import Message, Topic
from llmvitals.runtime.kafka.producer import Producer
from llmvitals.settings import Settings

pytestmark = pytest.mark.kafka


async def test_a_partition_that_a_topic_does_not_have_is_taken_modulo_their_number(
    kafka: str, topic_prefix: str, create_topics: Callable[..., Awaitable[Settings]]
) -> None:
    """The vitals may have fewer partitions than the partials have shards."""
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix), vitals=2)
    producer = Producer(settings, "test")
    await producer.start()
    places = [
        await (await producer.post(Message(Topic.VITALS, b"key", b"value", shard))) for shard in range(5)
    ]
    await producer.stop()
    assert [place.partition for place in places] == [0, 1, 0, 1, 0]
