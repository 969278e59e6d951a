"""`llmvitals publish`: a file of events → Kafka, with a progress bar."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from llmvitals.console import console as terminal
from llmvitals.errors import LlmvitalsError
from llmvitals.runtime.kafka.connect import asking, client, find_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from llmvitals.settings import Settings

_PATIENCE_MS: Final = 15_000
_LARGEST: Final = 1 << 30
_SHOWN: Final = 5
_UNDER_WAY: Final = 5_000
"""So many lines wait for Kafka's answer at once, however long the file."""


async def publish_lines(lines: Iterator[bytes], settings: Settings, topic: str, rate: float | None) -> int:
    """Send each line as it is; returns how many Kafka has acknowledged.

    rate: at most so many a second. Raises MissingTopic, BrokerDown, and, after everything else is sent,
    LlmvitalsError that names the lines which Kafka refused.
    """
    await find_topics(settings, [topic])
    # The topic decides what is too large, not the client.
    producer = AIOKafkaProducer(
        **client(settings, "publish"), acks="all", linger_ms=10, request_timeout_ms=_PATIENCE_MS,
        max_request_size=_LARGEST,
    )  # fmt: skip
    sent = 0
    waiting: dict[int, Any] = {}
    refused: list[tuple[int, BaseException]] = []
    try:
        async with asking(settings):
            await producer.start()
        async with asking(settings, None):
            with _progress() as progress:
                bar = progress.add_task(topic, total=None)
                async for line in _paced(lines, rate):
                    sent += 1
                    waiting[sent] = await producer.send(topic, line.strip(), key=key(line))
                    progress.advance(bar)
                    if len(waiting) >= _UNDER_WAY:
                        refused += await _settled(waiting)
                progress.update(bar, total=sent)
                refused += await _settled(waiting)
    finally:
        await producer.stop()
    _told(topic, refused)
    return sent


async def _settled(waiting: dict[int, Any]) -> list[tuple[int, BaseException]]:
    """Wait for all of them, forget them; the lines that Kafka refused."""
    outcome = await asyncio.gather(*waiting.values(), return_exceptions=True)
    refused = [
        (at, error) for at, error in zip(waiting, outcome, strict=True) if isinstance(error, BaseException)
    ]
    waiting.clear()
    return refused


async def _paced(lines: Iterator[bytes], rate: float | None) -> AsyncIterator[bytes]:
    began = time.monotonic()
    for number, line in enumerate(lines):
        if rate and (ahead := number / rate - (time.monotonic() - began)) > 0:
            await asyncio.sleep(ahead)
        yield line


def _told(topic: str, refused: list[tuple[int, BaseException]]) -> None:
    if not refused:
        return
    said = [f"line {at}: {_reason(error)}" for at, error in refused[:_SHOWN]]
    rest = [f"and {len(refused) - _SHOWN:,} more"] if len(refused) > _SHOWN else []
    raise LlmvitalsError(
        f"Kafka did not take {len(refused):,} of the lines for {topic}; all the others are there.\n  "
        + "\n  ".join([*said, *rest])
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, MessageSizeTooLargeError):
        return "it is too large: leave texts out, or raise max.message.bytes of the topic"
    return str(error) or type(error).__name__


def _progress() -> Progress:
    what = TextColumn("{task.description}", markup=False)
    columns = (
        what,
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=terminal(file=sys.stderr))


def key(line: bytes) -> bytes | None:
    """The record's key: the call's session, else its trace; None where there is none, or no JSON."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    found = (event.get("session") or event.get("trace_id")) if isinstance(event, dict) else None
    return found.encode() if isinstance(found, str) else None
