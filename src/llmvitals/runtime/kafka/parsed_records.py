"""Makes aiokafka's fetcher hand out records as its parser makes them.

aiokafka makes a ConsumerRecord of each record, a dataclass of eleven fields, which costs half of what it does
with the record. What its parser makes has all that is read of a record here (see `record.log.Record`).
aiokafka still decides which records are handed out and what the next position is: it checks checksums, skips
control batches, aborted transactions and records before the position.
"""

# ruff: noqa: SLF001 - private attributes of aiokafka, which is pinned exactly

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from aiokafka.consumer.fetcher import FetchResult

if TYPE_CHECKING:
    from aiokafka import TopicPartition
    from aiokafka.consumer.fetcher import Fetcher


class ParsedRecords(OrderedDict["TopicPartition", Any]):
    """What a fetcher has fetched and not handed out: a FetchResult or a FetchError of each partition."""

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if isinstance(result, FetchResult):
            result._partition_records._consumer_record = _as_parsed
        super().__setitem__(partition, result)


def hand_out_parsed(fetcher: Fetcher) -> None:
    """Hand out parsed records from now on; they have no topic and partition. Runs on the consumer's loop.

    There are no deserializers then: keys and values are bytes.
    """
    if not isinstance(fetcher._records, ParsedRecords):
        fetcher._records = ParsedRecords(fetcher._records)


def _as_parsed(_: TopicPartition, record: Any) -> Any:
    return record
