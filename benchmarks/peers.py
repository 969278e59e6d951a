"""The peers: bare aiokafka, with json.loads, and stock Faust with an empty agent. Prints records and seconds.

python -m benchmarks.peers aiokafka|aiokafka+json|faust BROKERS TOPIC COUNT
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time

from aiokafka import AIOKafkaConsumer


async def bare(brokers: str, topic: str, count: int, *, parse: bool) -> float:
    """Read `count` records with getmany; the seconds from the first to the last."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest")
    await consumer.start()
    seen, began = 0, 0.0
    while seen < count:
        for records in (await consumer.getmany(timeout_ms=1_000)).values():
            began = began or time.perf_counter()
            seen += len(records)
            if parse:
                for record in records:
                    json.loads(record.value)
    seconds = time.perf_counter() - began
    await consumer.stop()
    return seconds


def faust_empty(brokers: str, topic: str, count: int) -> None:
    """Stock Faust: an agent that does nothing with raw bytes. Prints by itself and leaves."""
    import faust  # noqa: PLC0415 - slow to import, and not needed by the others

    app = faust.App(
        f"bench-{time.time_ns()}",
        broker=f"kafka://{brokers}",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.mkdtemp(),
    )

    @app.agent(app.topic(topic, value_serializer="raw"))
    async def empty(stream: faust.StreamT) -> None:
        seen, began = 0, time.perf_counter()
        async for _ in stream:
            if seen == 0:
                began = time.perf_counter()
            seen += 1
            if seen == count:
                # Faust puts its log where sys.stdout was, and its banner around everything.
                os.write(1, f"\nread {count} {time.perf_counter() - began}\n".encode())
                os._exit(0)

    faust.Worker(app, loglevel="ERROR").execute_from_commandline()


if __name__ == "__main__":
    kind, where, what, many = sys.argv[1:]
    if kind == "faust":
        faust_empty(where, what, int(many))
    else:
        print("read", many, asyncio.run(bare(where, what, int(many), parse=kind.endswith("json"))))
