"""Runs the gateway on Kafka until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError
from llmvitals.gateway.delivery import Delivery
from llmvitals.gateway.server import Gateway
from llmvitals.runtime.kafka.connect import wait_for_topics

if TYPE_CHECKING:
    from llmvitals.settings import Settings


async def run(settings: Settings) -> None:
    """Take events until SIGTERM or SIGINT, then finish the requests that wait.

    They go to the first topic of calls. Raises ConfigError for settings that are wrong, and MissingTopic.
    """
    topic = settings.calls[0]
    if topic in settings.formats:
        raise ConfigError(
            f"formats: {topic} is read as {settings.formats[topic]} only, and the gateway writes several "
            "formats to it: take it out of LLMVITALS_FORMATS"
        )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    delivery = Delivery.to_kafka(settings, topic)
    try:
        async with Gateway(settings, delivery) as gateway:
            await _wait(settings, topic, gateway, stop)
    finally:
        await delivery.close()


async def _wait(settings: Settings, topic: str, gateway: Gateway, stop: asyncio.Event) -> None:
    """Wait until it has to stop; before, until the topic is there. Raises MissingTopic."""
    looking = asyncio.create_task(wait_for_topics(settings, [topic], gateway.ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
    if looking.done():
        try:
            looking.result()
        except BaseException:
            stopping.cancel()
            raise
        gateway.ready(None)
        await stopping
    else:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
