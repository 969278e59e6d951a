"""Topic ids (KIP-516): Metadata version 10, which aiokafka lacks.

A topic that is deleted and created again keeps its name and gets another id.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from io import BytesIO

log = logging.getLogger(__name__)

_NONE: Final = uuid.UUID(int=0)
_told: Final = set[str]()


class _Uuid(AbstractType[uuid.UUID]):
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _Response(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Request(Request[_Struct]):
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics: list[tuple[Any, ...]] = [(_NONE, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._topics, False, False, False, {})


async def topic_ids(client: Any, topics: Collection[str]) -> dict[str, str]:
    """Return topic → its id, 32 hex digits; "" if the broker gives none. Missing topics are left out.

    client: an AIOKafkaClient. Brokers before Kafka 2.8 give no ids, which is logged once for each topic.
    Raises KafkaError when Kafka does not answer.
    """
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await client.send(node, _Request(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):
        _without(topics, "the broker is older than Kafka 2.8")
        return dict.fromkeys(topics, "")
    there = {name: topic_id for code, name, topic_id, *_ in answer.topics if not code}
    _without([name for name, topic_id in there.items() if topic_id == _NONE], "the broker gives none")
    return {name: "" if topic_id == _NONE else topic_id.hex for name, topic_id in there.items()}


def _without(topics: Collection[str], why: str) -> None:
    news = sorted(set(topics) - _told)
    if news:
        _told.update(news)
        log.warning(
            "%s: no topic id is known (%s): a topic that was deleted and created again is noticed only while "
            "it is shorter than what was read of the old one",
            ", ".join(news),
            why,
        )
