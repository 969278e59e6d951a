"""Reads the topics on the broker, and changes them.

Settings are changed by IncrementalAlterConfigs (KIP-339), which aiokafka lacks: its AlterConfigs replaces all
settings of a topic, those that others have set included.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from llmvitals.runtime.kafka.connect import asking
from llmvitals.topics.declared import Present, TopicPlan, difference, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from pathlib import Path

    from llmvitals.settings import Settings
    from llmvitals.topics.declared import Topic

_LONGEST: Final = 60.0
"""Seconds that a plan or a change may take; there may be many topics on many brokers."""
_TRIES: Final = 150
_PAUSE: Final = 0.1
"""How often, and how many seconds apart, to ask whether the brokers know a new topic."""

_TOPIC: Final = 2
_SET: Final = 0


async def plan(settings: Settings, folder: Path | None = None) -> TopicPlan:
    """What `apply` would do. Raises ConfigError (the files), BrokerDown, LlmvitalsError (no permission)."""
    wanted = load(settings, folder)
    async with _admin(settings) as admin:
        return difference(wanted, await _present(admin, {topic.name for topic in wanted}))


async def apply(settings: Settings, folder: Path | None = None) -> TopicPlan:
    """Create what is missing, add partitions, change settings; returns what was done.

    Returns when the brokers know the new topics. Raises as `plan` does; what was done until then stays, and
    running it again goes on from there.
    """
    wanted = load(settings, folder)
    names = {topic.name for topic in wanted}
    async with _admin(settings) as admin:
        plan = difference(wanted, await _present(admin, names))
        await _create(admin, plan)
        for name, (_, want) in plan.grow.items():
            await admin.create_partitions({name: NewPartitions(want)})
        for name, changes in plan.change.items():
            await alter_settings(admin, name, {key: want for key, (_, want) in changes.items()})
        if plan:
            await _visible(admin, names)
        return plan


async def missing(settings: Settings, folder: Path | None = None) -> list[str]:
    """The declared topics that the broker doesn't have. Raises BrokerDown."""
    names = [topic.name for topic in load(settings, folder)]
    async with _admin(settings) as admin:
        there = await _counts(admin)
        return [name for name in names if name not in there]


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    async with asking(settings, _LONGEST):
        admin = AIOKafkaAdminClient(**settings.client("topics"), request_timeout_ms=10_000)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


async def _counts(admin: AIOKafkaAdminClient) -> dict[str, tuple[int, int]]:
    """Every topic on the broker: name → (partitions, replicas)."""
    described: list[dict[str, Any]] = await admin.describe_topics()
    return {
        topic["topic"]: (len(topic["partitions"]), len(topic["partitions"][0]["replicas"]))
        for topic in described
        if topic["partitions"]
    }


async def _present(admin: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, Present]:
    counts = {name: count for name, count in (await _counts(admin)).items() if name in names}
    if not counts:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
    found = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"reading the settings of {name}: {message or 'no reason given'}")
            settings = {key: value or "" for key, value, *_ in entries}
            found[name] = Present(*counts[name], settings)
    return found


async def _create(admin: AIOKafkaAdminClient, plan: TopicPlan) -> None:
    if not plan.create:
        return
    response = await admin.create_topics([_new(topic) for topic in plan.create])
    for name, code, message in response.topic_errors:
        if code and code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"creating {name}: {message or 'no reason given'}")


def _new(topic: Topic) -> NewTopic:
    # aiokafka accepts -1, the broker's default, only together with an assignment, which may be empty.
    assignment: dict[int, list[int]] | None = {} if topic.replication == -1 else None
    return NewTopic(topic.name, topic.partitions, topic.replication, assignment, topic.settings)


async def _visible(admin: AIOKafkaAdminClient, names: Collection[str]) -> None:
    for _ in range(_TRIES):
        if set(names) <= set(await _counts(admin)):
            return
        await asyncio.sleep(_PAUSE)
    raise UnknownTopicOrPartitionError("the brokers don't know the created topics yet")


class _Response(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Struct(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _Request(Request[_Struct]):
    API_KEY = 44

    def __init__(self, name: str, values: Mapping[str, str]) -> None:
        self._resource = (_TOPIC, name, [(key, _SET, value) for key, value in values.items()])

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class([self._resource], False)


async def alter_settings(admin: AIOKafkaAdminClient, topic: str, values: Mapping[str, str]) -> None:
    """Set these settings of a topic and no others. Raises KafkaError with the broker's reason."""
    response: Any = await admin._send_request(_Request(topic, values))  # noqa: SLF001 - pinned exactly
    for code, message, _, name in response.responses:
        if code:
            raise for_code(code)(f"changing the settings of {name}: {message or 'no reason given'}")
