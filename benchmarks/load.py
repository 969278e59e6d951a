"""Publishes calls for ever: `python -m benchmarks.load BROKERS TOPIC PARTITIONS RATE USERS`."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

from aiokafka import AIOKafkaProducer
from benchmarks.calls import Calls

TURN: Final = 0.05
"""Seconds between two batches."""


async def publish(brokers: str, topic: str, partitions: int, *, rate: float, users: int) -> None:
    """Each turn one batch goes to each partition; what a late turn has missed, the next one makes up for."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, max_batch_size=1_000_000)
    await producer.start()
    calls, began = Calls(users, "load", cost=1e-9), time.monotonic()
    while True:
        now, due = time.time_ns() // 1_000_000, int((time.monotonic() - began) * rate)
        for partition in range(partitions):
            batch = producer.create_batch()
            for _ in range((due - calls.number) // (partitions - partition)):
                batch.append(key=None, value=calls.at(now), timestamp=None)
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=partition)
        await asyncio.sleep(TURN)


if __name__ == "__main__":
    where, what, parts, many, who = sys.argv[1:]
    asyncio.run(publish(where, what, int(parts), rate=float(many), users=int(who)))
