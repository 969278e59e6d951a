"""How far a sink is with one partition, and going back when its store has lost what it had."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from llmvitals.errors import SinkError
from llmvitals.runtime.kafka import sink_offsets
from llmvitals.runtime.kafka.feed import resume
from llmvitals.runtime.kafka.sink_task import asking

if TYPE_CHECKING:
    from aiokafka import TopicPartition

    from llmvitals.meters import Meters
    from llmvitals.runtime.kafka.feed import Bounds, Feed
    from llmvitals.runtime.kafka.sink_task import SinkTask

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SinkPosition:
    """One partition: the offset done up to, the one committed, and the one up to which the store has it."""

    partition: TopicPartition
    next: int
    committed: int
    stored: int


def begun(
    partition: TopicPartition,
    commit: tuple[int, str] | None,
    bounds: Bounds,
    *,
    topic_id: str,
    meters: Meters,
) -> SinkPosition:
    """Where the sink begins: where the group has committed, else at the beginning; of another topic too.

    Raises SourceRecreated where the id is not known and the topic ends too soon.
    """
    begin = bounds.beginning
    if commit and sink_offsets.another(commit[1], topic_id):
        log.warning("%s[%d] %s", *partition, sink_offsets.AGAIN)
    elif commit:
        begin = resume(partition, bounds, meters, offset=commit[0], counted=commit[0])
    return SinkPosition(partition, begin, commit[0] if commit else -1, stored=begin)


async def rewound(line: SinkTask, feed: Feed | None, cup: SinkPosition) -> bool:
    """Whether the sink's store lacks what was done, so that the partition is now read again from there.

    Raises SinkError(retry=True) when the store or Kafka can't be asked.
    """
    needs, partition = getattr(line.sink, "needs", None), cup.partition
    if needs is None or feed is None:
        return False
    held = await asking(line, needs(partition.partition))
    if held is None or held >= cup.stored:
        return False
    try:
        oldest = (await feed.bounds([partition]))[partition].beginning
    except KafkaError as error:
        why = f"Kafka does not say where {partition.topic} begins: {error!r}"
        raise SinkError(why, retry=True) from error
    log.warning(
        "%s: the store has records of partition %d up to offset %d only, and had been given those up to %d: "
        "reading again from offset %d on, the oldest in Kafka being %d",
        line.name, partition.partition, held, cup.stored, max(held, oldest), oldest,
    )  # fmt: skip
    cup.next, cup.stored = max(held, oldest), held
    await feed.seek(partition, cup.next)
    return True
