"""The calls that are measured, and the topics that they lie on."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from llmvitals import topics
from llmvitals.local.traffic import company
from llmvitals.settings import Settings
from llmvitals.topics.declared import shipped

PER_SECOND: Final = 5_000
"""Calls in a second of event time."""
PARTITIONS: Final = 4
KEYS: Final = 40
"""Keys of the records: llmvitals needs none, Quix Streams has windows only for records with a key."""
VIEWS: Final[list[dict[str, Any]]] = [
    {"name": "all", "contributors": True},
    {"name": "team", "by": ["team"], "contributors": True},
    {"name": "app", "by": ["app"], "contributors": True},
    {"name": "app_model", "by": ["app", "model"]},
]
BY_USER: Final[list[dict[str, Any]]] = [{"name": "user", "by": ["user"]}]
BUDGETS: Final = """
groups:
- name: bench
  rules:
  - alert: UserBudget
    budget: {metric: cost, limit: 1, per: day, by: [user], thresholds: [100%]}
"""
"""A budget for each user: a rule that reads panes before they close, so its view is eager."""


class Calls:
    """Makes calls of some 20 fields and 450 bytes; their ids never come twice.

    users: they call in turn. kind: how the ids begin. cost: USD of each call; None: the list price of its
    tokens.
    """

    def __init__(self, users: int, kind: str = "call", cost: float | None = None) -> None:
        self.users, self.number, self._kind = users, 0, kind.encode()
        more = {} if cost is None else {"cost_usd": cost}
        calls = [call | more for call in company(0, 3_600_000_000)]
        self._rests = [json.dumps(_without(call, "id", "ts", "user"))[1:].encode() for call in calls]

    def at(self, ts: int, user: int | None = None) -> bytes:
        """The next call; it ends at `ts`, ms since 1970. user: None for the one whose turn it is."""
        number = self.number
        self.number += 1
        rest = self._rests[number % len(self._rests)]
        who = number % self.users if user is None else user
        return b'{"id":"%b-%d","ts":%d,"user":"u-%d",%b' % (self._kind, number, ts, who, rest)

    def until_now(self, count: int) -> Iterator[bytes]:
        """`count` calls, PER_SECOND of them in a second of event time, the last one now."""
        first = time.time_ns() // 1_000_000 - count * 1_000 // PER_SECOND
        return (self.at(first + n * 1_000 // PER_SECOND) for n in range(count))


def _without(call: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name not in names}


async def fill(brokers: str, topic: str, values: Iterable[bytes], partitions: int = PARTITIONS) -> None:
    """Put each value on a partition at random, in order, with one of KEYS keys.

    In batches, which is ten times as fast as one by one.
    """
    producer = AIOKafkaProducer(bootstrap_servers=brokers, max_batch_size=262_144)
    await producer.start()
    dice = random.Random(1)
    batches = [producer.create_batch() for _ in range(partitions)]
    for number, value in enumerate(values):
        partition, key = dice.randrange(partitions), b"key-%d" % (number % KEYS)
        if batches[partition].append(key=key, value=value, timestamp=None) is None:
            await producer.send_batch(batches[partition], topic, partition=partition)
            batches[partition] = producer.create_batch()
            batches[partition].append(key=key, value=value, timestamp=None)
    for partition, batch in enumerate(batches):
        if batch.record_count():
            await producer.send_batch(batch, topic, partition=partition)
    await producer.stop()


async def prepared(
    brokers: str, name: str, calls: Iterable[bytes], *, partitions: int = PARTITIONS, **settings: object
) -> dict[str, str]:
    """Topics with these calls; returns the environment of a worker on them.

    name: the prefix of the topics, and the consumer group. settings: further ones, by their names.
    """
    own = Settings(brokers=brokers, topic_prefix=name, group=name)
    with tempfile.TemporaryDirectory() as folder:
        for file in shipped().glob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            if "name: llm.calls.v1" in text:
                text = text.replace("partitions: 4", f"partitions: {partitions}")
            (Path(folder) / file.name).write_text(text, encoding="utf-8")
        await topics.apply(own, Path(folder))
    await fill(brokers, own.topic("calls"), calls, partitions)
    chosen: dict[str, object] = {
        "brokers": brokers, "topic_prefix": name, "group": name, "health_port": 0, "default_views": False,
        "max_series": 1_000_000, "alerts": "no-rules",
    } | settings  # fmt: skip
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LLMVITALS_")}
    return inherited | {f"LLMVITALS_{key.upper()}": _text(value) for key, value in chosen.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
