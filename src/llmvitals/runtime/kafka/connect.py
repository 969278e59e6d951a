"""The connection to Kafka, the same for every client."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, KafkaError

from llmvitals.errors import BrokerDown, LlmvitalsError, MissingTopic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from llmvitals.connection import Connection

log = logging.getLogger(__name__)

DISCOVERY_MS: Final = 2_000
"""How often consumers look for new partitions of their topics.

Calls are published to a new partition at once. They are in time as long as their panes are open in the other
partitions, so this and a rebalance should take less than the allowed disorder.
"""
_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0)
_PATIENCE: Final = 10.0
"""Seconds that Kafka may take to answer a command."""


@asynccontextmanager
async def asking(settings: Connection, seconds: float | None = _PATIENCE) -> AsyncIterator[None]:
    """Run the requests of a command to Kafka; taking longer than `seconds` (None: no limit) is an error.

    Raises BrokerDown for a problem that may pass, LlmvitalsError with the broker's reason for a refusal.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except KafkaError as error:
        if not error.retriable:
            raise LlmvitalsError(f"Kafka at {settings.brokers} refuses: {error}") from error
        raise BrokerDown(_unreachable(settings, error)) from error
    except (OSError, TimeoutError) as error:
        raise BrokerDown(_unreachable(settings, error)) from error


async def find_topics(settings: Connection, topics: Iterable[str]) -> dict[str, int]:
    """Return topic → partitions. Raises BrokerDown, and MissingTopic that names all missing topics."""
    async with asking(settings):
        there = await _topics(settings)
    missing = sorted(set(topics) - set(there))
    if missing:
        raise MissingTopic(
            f"Kafka at {settings.brokers} has no topic {', '.join(missing)}. "
            "`llmvitals topics apply` creates what is missing of llmvitals' own; a topic named in "
            "LLMVITALS_INPUTS has to be there already."
        )
    return {topic: there[topic] for topic in topics}


async def wait_for_topics(
    settings: Connection, topics: Iterable[str], ready: Callable[[str | None], None]
) -> dict[str, int]:
    """Like `find_topics`, but try again until Kafka can be reached. ready: called with the reason."""
    attempt, looks = 0, 3
    while True:
        try:
            return await find_topics(settings, topics)
        except MissingTopic:
            # A broker may know of a new topic a moment after its creation was confirmed.
            looks -= 1
            if not looks:
                raise
            await asyncio.sleep(0.5)
        except BrokerDown as error:
            wait = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
            log.warning("%s Trying again in %.0f s.", error, wait)
            ready(str(error))
            attempt += 1
            await asyncio.sleep(wait)


def _unreachable(settings: Connection, error: Exception) -> str:
    """Say what to check: of a refused login or certificate, aiokafka only says that it can't connect."""
    doubts = {
        "PLAINTEXT": "does it speak PLAINTEXT there (LLMVITALS_SECURITY_PROTOCOL)",
        "SSL": "is its certificate one of LLMVITALS_SSL_CAFILE's, and does it ask for LLMVITALS_SSL_CERTFILE",
        "SASL_PLAINTEXT": "are LLMVITALS_SASL_USERNAME, _PASSWORD and _MECHANISM right",
        "SASL_SSL": "are LLMVITALS_SASL_USERNAME, _PASSWORD and _MECHANISM, and LLMVITALS_SSL_CAFILE right",
    }
    known = {TimeoutError: "it does not answer", KafkaConnectionError: "there is no connection"}
    why = known.get(type(error)) or str(error) or type(error).__name__
    doubt = doubts[settings.security_protocol]
    return (
        f"Kafka at {settings.brokers} can't be reached: {why}. Is it up, is LLMVITALS_BROKERS its address, "
        f"and {doubt}?"
    )


async def _topics(settings: Connection) -> dict[str, int]:
    consumer = AIOKafkaConsumer(**settings.client("look"), request_timeout_ms=10_000)
    try:
        await consumer.start()
        cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - topics() hides partitions
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}
    finally:
        await consumer.stop()
