"""200 only when Kafka has it; else whether Kafka is behind, down, or does not want it."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from llmvitals.gateway.answer import Refusal
from llmvitals.gateway.delivery import Delivery
from llmvitals.gateway.records import Record
from llmvitals.publisher.queue import Event, EventQueue
from waiting import eventually

RECORDS = [Record(b"k", b"one"), Record(None, b"two")]


class Kafka:
    """Finishes the events of a queue as a test says, in the place of the sender."""

    def __init__(self, *, patience: float = 60, most_bytes: int = 1_000) -> None:
        self.queue = EventQueue(100)
        self.delivery = Delivery(self.queue, patience=patience, most_bytes=most_bytes)

    async def take(self) -> Event:
        """The next event, once it is there."""
        event: Event = await eventually(self.queue.take)
        return event

    async def answer(self, outcome: Literal["sent", "failed"] = "sent") -> Event:
        event = await self.take()
        await asyncio.to_thread(
            self.queue.finish, event, outcome
        )  # as the sender does, in a thread of its own
        return event

    async def refusal(self, records: list[Record] = RECORDS) -> Refusal:
        with pytest.raises(Refusal) as raised:
            await self.delivery.deliver(records)
        return raised.value


async def test_it_returns_when_kafka_has_every_record() -> None:
    kafka = Kafka()
    delivering = asyncio.create_task(kafka.delivery.deliver(RECORDS))
    first = await kafka.answer()
    last = await kafka.take()
    assert not delivering.done()
    kafka.queue.finish(last, "sent")
    await delivering
    assert [(first.key, first.value), (last.key, last.value)] == [tuple(record) for record in RECORDS]


async def test_kafka_that_acknowledges_others_is_behind() -> None:
    kafka = Kafka(patience=0.2)
    delivering = asyncio.create_task(kafka.refusal())
    await kafka.answer()
    refusal = await delivering
    assert (refusal.status, refusal.retry_after) == (429, 5)
    assert not kafka.delivery.is_down


async def test_kafka_that_acknowledges_nothing_is_down_until_it_does() -> None:
    kafka = Kafka(patience=0.05)
    assert (await kafka.refusal()).status == 503
    await eventually(lambda: kafka.delivery.is_down)
    waiting = kafka.delivery.waiting
    assert (await kafka.refusal()).status == 503
    assert kafka.delivery.waiting == waiting == 2  # refused at once, and not queued
    await kafka.answer()
    await eventually(lambda: not kafka.delivery.is_down)


async def test_more_than_may_wait_is_refused_before_anything_of_it_is_queued() -> None:
    kafka = Kafka(most_bytes=10)
    delivering = asyncio.create_task(kafka.delivery.deliver([Record(None, b"1234567")]))
    await eventually(lambda: kafka.delivery.waiting)
    assert (await kafka.refusal()).status == 429
    assert kafka.delivery.waiting == 1
    await kafka.answer()
    await delivering
    delivering = asyncio.create_task(kafka.delivery.deliver(RECORDS))
    await kafka.answer()
    await kafka.answer()
    await delivering


async def test_a_record_that_kafka_refuses_for_good() -> None:
    kafka = Kafka(most_bytes=10_000_000)
    delivering = asyncio.create_task(kafka.refusal([Record(None, b"x" * 2_000_000)]))
    await kafka.answer("failed")
    refusal = await delivering
    assert (refusal.status, refusal.retry_after) == (413, None)
    assert "max.message.bytes" in refusal.what
    delivering = asyncio.create_task(kafka.refusal(RECORDS))
    await kafka.answer("failed")
    await kafka.answer()
    assert (await delivering).status == 503


async def test_what_still_waits_at_the_end_is_refused() -> None:
    kafka = Kafka()
    delivering = asyncio.create_task(kafka.refusal())
    await eventually(lambda: kafka.delivery.waiting)
    await kafka.delivery.close()
    refusal = await delivering
    assert (refusal.status, refusal.what) == (503, "The gateway is stopping: try again")
