"""The worker watches itself, also while Kafka is silent and while it stops."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from llmvitals.runtime.app import _repeat, _watch, build
from llmvitals.runtime.kafka.feed import Clock, Progress
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


@pytest.mark.parametrize("stops", [True, False])
async def test_work_that_waits_for_the_consumer_of_a_worker_that_stops_is_no_failure(stops: bool) -> None:
    """Faust closes the loop of the consumer's thread while a clock may still wait for an answer of it."""
    app = build("sink", Settings(), [])

    async def clock() -> None:
        if stops:
            app._stopped.set()
        raise ConsumerStoppedError

    await _repeat(app, 0, Clock(clock))
    assert (app.work.failed is None) == stops
