"""Sends a file of events to Kafka: `llmvitals publish`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from llmvitals.errors import LlmvitalsError
from llmvitals.runtime.kafka.connect import asking, find_topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from llmvitals.settings import Settings

_PATIENCE_MS: Final = 15_000
_LARGEST: Final = 1 << 30
_LISTED: Final = 5
_IN_FLIGHT: Final = 5_000
"""Lines that wait for Kafka's answer at most, however long the file."""


async def publish_lines(
    lines: Iterable[bytes],
    settings: Settings,
    topic: str,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Send each line as it is; returns how many Kafka has acknowledged.

    rate: the most lines a second. progress: called with the number of lines sent so far. Raises
    MissingTopic, BrokerDown, and, after everything else is sent, LlmvitalsError that names the lines which
    Kafka refused.
    """
    await find_topics(settings, [topic])
    # The topic decides what is too large, not the client.
    producer = AIOKafkaProducer(
        **settings.client("publish"), acks="all", linger_ms=10, request_timeout_ms=_PATIENCE_MS,
        max_request_size=_LARGEST,
    )  # fmt: skip
    sent = 0
    waiting: dict[int, Any] = {}
    refused: list[tuple[int, BaseException]] = []
    try:
        async with asking(settings):
            await producer.start()
        async with asking(settings, None):
            async for line in _paced(lines, rate):
                sent += 1
                waiting[sent] = await producer.send(topic, line.strip(), key=key(line))
                progress(sent)
                if len(waiting) >= _IN_FLIGHT:
                    refused += await _answers(waiting)
            refused += await _answers(waiting)
    finally:
        await producer.stop()
    _check(topic, refused)
    return sent


async def _answers(waiting: dict[int, Any]) -> list[tuple[int, BaseException]]:
    """Wait for all of them and empty the dict; returns the lines that Kafka refused, with the reasons."""
    outcome = await asyncio.gather(*waiting.values(), return_exceptions=True)
    refused = [
        (at, error) for at, error in zip(waiting, outcome, strict=True) if isinstance(error, BaseException)
    ]
    waiting.clear()
    return refused


async def _paced(lines: Iterable[bytes], rate: float | None) -> AsyncIterator[bytes]:
    began = time.monotonic()
    for number, line in enumerate(lines):
        if rate and (ahead := number / rate - (time.monotonic() - began)) > 0:
            await asyncio.sleep(ahead)
        yield line


def _check(topic: str, refused: list[tuple[int, BaseException]]) -> None:
    if not refused:
        return
    reasons = [f"line {at}: {_reason(error)}" for at, error in refused[:_LISTED]]
    rest = [f"and {len(refused) - _LISTED:,} more"] if len(refused) > _LISTED else []
    raise LlmvitalsError(
        f"Kafka did not take {len(refused):,} of the lines for {topic}; all the others are there.\n  "
        + "\n  ".join([*reasons, *rest])
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, MessageSizeTooLargeError):
        return "it is too large: leave texts out, or raise max.message.bytes of the topic"
    return str(error) or type(error).__name__


def key(line: bytes) -> bytes | None:
    """The record's key: the call's session, else its trace; None where there is none, or no JSON."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    found = (event.get("session") or event.get("trace_id")) if isinstance(event, dict) else None
    return found.encode() if isinstance(found, str) else None
