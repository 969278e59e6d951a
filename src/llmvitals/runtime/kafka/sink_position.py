"""How far a sink has got in one partition, and what is committed with its offset.

The metadata of a sink's commit is the id of the topic that the offset belongs to.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from llmvitals.errors import SinkError, SourceRecreated
from llmvitals.runtime.kafka.feed import resume

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from llmvitals.meters import Meters
    from llmvitals.runtime.kafka.feed import Bounds, Feed
    from llmvitals.runtime.kafka.sink_task import SinkTask

log = logging.getLogger(__name__)

_TOPIC: Final = "topic:"


@dataclass(slots=True)
class SinkPosition:
    """The next offset of one partition, the committed one, and the one up to which the store has records."""

    partition: TopicPartition
    next: int
    committed: int
    stored: int


def metadata(topic_id: str) -> str:
    """Return the metadata of a commit; "" where the topic's id is not known."""
    return f"{_TOPIC}{topic_id}" if topic_id else ""


def start_position(
    partition: TopicPartition,
    commit: tuple[int, str] | None,
    bounds: Bounds,
    *,
    topic_id: str,
    meters: Meters,
) -> SinkPosition:
    """Return where the sink starts: at the group's offset, or at the beginning if there is none.

    It starts at the beginning too when the offset was committed for a topic with another id. Raises
    SourceRecreated when the id is not known and the topic ends before the offset.
    """
    start = bounds.beginning
    if commit and _of_another_topic(commit[1], topic_id):
        log.warning(
            "%s[%d] was deleted and created again: records of the old topic that were not processed are "
            "lost; the new topic is read from its beginning",
            *partition,
        )
    elif commit:
        start = resume(partition, bounds, meters, offset=commit[0], counted=commit[0])
    return SinkPosition(partition, start, commit[0] if commit else -1, stored=start)


async def rewound(task: SinkTask, feed: Feed | None, position: SinkPosition) -> bool:
    """Read the partition again from where the sink's store lacks records; True if it lacks any.

    Raises SinkError(retry=True) when the store or Kafka does not answer.
    """
    partition = position.partition
    if feed is None:
        return False
    stored = await task.answer(task.sink.needs(partition.partition))
    if stored is None or stored >= position.stored:
        return False
    try:
        oldest = (await feed.bounds([partition]))[partition].beginning
    except KafkaError as error:
        why = f"Kafka does not say where {partition.topic} begins: {error!r}"
        raise SinkError(why, retry=True) from error
    log.warning(
        "%s: the store has records of partition %d up to offset %d only, but was given records up to %d: "
        "reading again from offset %d on, the oldest in Kafka being %d",
        task.name, partition.partition, stored, position.stored, max(stored, oldest), oldest,
    )  # fmt: skip
    position.next, position.stored = max(stored, oldest), stored
    await feed.seek(partition, position.next)
    return True


def replaced(topic: str, *, had: str, now: str) -> SourceRecreated:
    """Return the error for a topic whose id changed while it was read; a restart reads the new topic."""
    return SourceRecreated(
        f"{topic} was deleted and created again while it was read (topic id {now}, before {had}): records of "
        "the old topic that were not processed are lost. Start the worker again: it reads the new topic from "
        "its beginning"
    )


def _of_another_topic(metadata: str, topic_id: str) -> bool:
    """Whether an offset was committed for another topic; False when either id is not known."""
    committed_id = metadata.removeprefix(_TOPIC) if metadata.startswith(_TOPIC) else ""
    return bool(committed_id and topic_id) and committed_id != topic_id
