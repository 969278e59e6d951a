"""`llmvitals publish`: a file of events → Kafka, with a progress bar."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from llmvitals.connect import client, wait_for_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmvitals.settings import Settings


async def publish_lines(lines: Iterator[bytes], settings: Settings, topic: str, rate: float | None) -> int:
    """Send each line as it is; returns how many Kafka has acknowledged.

    rate: at most so many a second. Raises MissingTopic, and KafkaError when Kafka refuses one.
    """
    await wait_for_topics(settings, [topic], _unheard)
    producer = AIOKafkaProducer(**client(settings, "publish"), acks="all", linger_ms=10)
    await producer.start()
    sent: list[Any] = []
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(file=sys.stderr)) as progress:
            bar = progress.add_task(topic, total=None)
            for number, line in enumerate(lines):
                if rate and (ahead := number / rate - (time.monotonic() - began)) > 0:
                    await asyncio.sleep(ahead)
                sent.append(await producer.send(topic, line.strip(), key=key(line)))
                progress.advance(bar)
            progress.update(bar, total=len(sent))
            await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return len(sent)


def key(line: bytes) -> bytes | None:
    """The record's key: the call's session, else its trace; None where there is none, or no JSON."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    found = (event.get("session") or event.get("trace_id")) if isinstance(event, dict) else None
    return found.encode() if isinstance(found, str) else None


def _unheard(reason: str | None) -> None:
    """The log has said it."""
    del reason
