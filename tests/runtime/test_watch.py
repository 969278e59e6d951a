"""The worker watches itself, also while Kafka is silent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from llmvitals.runtime.app import _watch
from llmvitals.runtime.kafka.feed import Progress
from llmvitals.settings import Settings

STALL = 0.4
"""Seconds after which the guard ends a process that does not beat."""


class SilentKafka:
    """A consumer that waits for answers that never come."""

    def __init__(self, said: list[str]) -> None:
        self._said, self.patience = said, 0.0

    async def ends(self, _: object) -> dict[TopicPartition, int]:
        self._said.append("ends are asked for")
        await asyncio.Event().wait()
        return {}

    async def same_topics(self, answer: float) -> bool:
        self._said.append("ids are asked for")
        self.patience = answer
        return False  # ends the watch


async def test_a_silent_kafka_does_not_keep_the_loop_from_beating() -> None:
    """Between two beats at most one answer is waited for, and that for less than the guard waits."""
    said: list[str] = []
    kafka = SilentKafka(said)
    app: Any = SimpleNamespace(
        settings=Settings(stall="400ms"),
        guard=SimpleNamespace(beat=lambda: said.append("beat")),
        work=SimpleNamespace(progress=lambda: [Progress(TopicPartition("calls", 0), 5, None, 1)]),
        readiness=SimpleNamespace(say=lambda *_: said.append("readiness")),
        reader=kafka,
        should_stop=False,
    )
    meters: Any = SimpleNamespace(gauge=lambda *_, **__: said.append("lag"))
    await _watch(app, meters)
    # What is known is reported before anything else is asked for.
    assert said == ["beat", "ends are asked for", "readiness", "lag", "beat", "ids are asked for"]
    assert 0 < kafka.patience < STALL
