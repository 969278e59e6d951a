"""The topics that a sink follows besides its own: `beside` at once, `after` when their time has come."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import TopicPartition

    from llmvitals.record.log import Record
    from llmvitals.runtime.kafka.feed import Feed
    from llmvitals.runtime.kafka.tail import Tail

log = logging.getLogger(__name__)

_LOOK: Final = 5.0
"""Seconds that reading a followed topic may take."""


async def news(tail: Tail, topic: str | None) -> list[Record]:
    """Return what was written to a topic since the last call; what can't be read now is read next time."""
    if topic is None:
        return []
    try:
        return await asyncio.wait_for(tail.news(topic), _LOOK)
    except (KafkaError, TimeoutError) as error:
        log.debug("%s can't be read: %r", topic, error)
        return []


@dataclass(slots=True)
class After:
    """Follows the topic `after` of a `SinkBinding`; None: there is none.

    found: records that wait. upto: how far each partition of the sink's topic has to be taken before they are
    handed over.
    """

    topic: str | None
    found: list[Record] = field(default_factory=list)
    upto: dict[TopicPartition, int] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop what waits: other partitions may be assigned."""
        self.found, self.upto = [], {}

    async def news(self, tail: Tail, feed: Feed, taken: Mapping[TopicPartition, int]) -> list[Record]:
        """Return the records whose time has come; taken: how far the sink's partitions are taken."""
        if not self.found and (found := await news(tail, self.topic)):
            try:
                # Asked for after the records were read, so that these ends are behind all that came before.
                bounds = await asyncio.wait_for(feed.bounds(list(taken)), _LOOK)
            except (KafkaError, TimeoutError) as error:
                log.debug("the ends of a sink's topic can't be had: %r", error)
                return []  # the next record of the same key says more
            self.found, self.upto = found, {partition: bounds[partition].end for partition in taken}
        if any(taken.get(partition, -1) < end for partition, end in self.upto.items()):
            return []
        found = self.found
        self.forget()
        return found
