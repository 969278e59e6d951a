"""How to reach Kafka: the same for every client."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from llmvitals.errors import MissingTopic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.settings import Settings

log = logging.getLogger(__name__)

_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0)


def client(settings: Settings, name: str) -> dict[str, Any]:
    """The arguments that every aiokafka client takes: addresses, name, encryption and login."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "client_id": f"{settings.group}-{name}",
        "security_protocol": settings.security_protocol,
        "metadata_max_age_ms": 60_000,
    }
    if settings.security_protocol in {"SSL", "SASL_SSL"}:
        found["ssl_context"] = ssl.create_default_context(cafile=settings.ssl_cafile)
    if settings.security_protocol.startswith("SASL"):
        found["sasl_mechanism"] = settings.sasl_mechanism
        found["sasl_plain_username"] = settings.sasl_username
        password = settings.sasl_password
        found["sasl_plain_password"] = password.get_secret_value() if password else None
    return found


async def wait_for_topics(
    settings: Settings, topics: Iterable[str], ready: Callable[[str | None], None]
) -> dict[str, int]:
    """Topic → partitions, once Kafka answers and has them; tries for as long as it can't be reached.

    ready: is told why it waits. Raises MissingTopic that names every topic which is not there.
    """
    attempt = 0
    while True:
        try:
            there = await _topics(settings)
            break
        except (KafkaError, OSError) as error:
            wait = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
            reason = f"Kafka at {settings.brokers} can't be reached: {error}"
            log.warning("%s. Trying again in %.0f s.", reason, wait)
            ready(reason)
            attempt += 1
            await asyncio.sleep(wait)
    missing = sorted(set(topics) - set(there))
    if missing:
        raise MissingTopic(
            f"Kafka at {settings.brokers} has no topic {', '.join(missing)}. "
            "`llmvitals topics apply` creates what is missing of llmvitals' own; a topic named in "
            "LLMVITALS_INPUTS has to be there already."
        )
    return {topic: there[topic] for topic in topics}


async def _topics(settings: Settings) -> dict[str, int]:
    consumer = AIOKafkaConsumer(**client(settings, "look"), request_timeout_ms=10_000)
    try:
        await consumer.start()
        cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - topics() hides partitions
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}
    finally:
        await consumer.stop()
