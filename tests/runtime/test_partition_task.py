from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from frames import PANE, VIEWS, entry, frame, log, vitals
from llmvitals.merge import Merge, MergePlan
from llmvitals.merge.closer import STRETCH
from llmvitals.pipeline import Pipeline
from llmvitals.record.frame import Frame
from llmvitals.record.log import Message, Topic
from llmvitals.runtime.kafka.dead_letters import DeadLetters
from llmvitals.runtime.kafka.feed import Batch
from llmvitals.runtime.kafka.partition_task import PartitionTask
from llmvitals.settings import Settings

SECOND = 1_000_000


class Outbox:
    """Takes everything, and acknowledges at once."""

    def __init__(self) -> None:
        self.floors: dict[int, int] = {}

    async def post(self, message: Message) -> asyncio.Future[None]:
        assert message.topic == Topic.PARTIALS
        frame = Frame.decode(message.value or b"")
        self.floors[frame.shard] = frame.floor
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class Sink(Outbox):
    """Takes anything."""

    async def post(self, message: Message) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


def no_dead_letters(producer: Any) -> DeadLetters:
    """What delivers them; none is expected."""
    return DeadLetters(producer, "llm.calls.dlq.v1", lambda *_: None)


async def test_a_jump_of_the_floor_lets_others_have_their_turn() -> None:
    """An hour of hold-up ends: the loop turns at least once for every two stretches of work."""
    panes, series = 60, 200
    stage = Merge(MergePlan(PANE, VIEWS), shard=0, parts={}, beginning=0)
    held = [
        frame(0, 5, *(entry(pane, vitals(calls=1), "app", f"a{number}") for number in range(series)), of=1)
        for pane in range(panes)
    ]
    stage.apply(log(held))
    producer: Any = Sink()
    writer: Any = None
    task = PartitionTask(
        TopicPartition("partials", 0), stage, writer, producer, dead_letters=no_dead_letters(producer)
    )
    turns, done = 0, list[int]()
    jump = asyncio.create_task(
        task.take(Batch(1, panes, panes + 1, log([frame(0, 6, floor=panes, of=1)], panes)))
    )
    while not jump.done():
        done.append(stage.counters["panes"])
        turns += 1
        await asyncio.sleep(0)
    assert done[-1] == panes * series
    assert max(after - before for before, after in pairwise(done)) <= 2 * STRETCH
    assert task.pieces >= panes * series / (2 * STRETCH)


async def test_the_promise_of_a_partition_without_calls_reaches_every_shard(tmp_path: Path) -> None:
    """Nobody has to wait for a partition on which nothing was ever published."""
    pipeline = Pipeline.of(Settings(alerts=tmp_path), 4, ["calls"])
    stage = pipeline.combining("calls", 1, parts={}, beginning=0, sources={"calls": 2})
    producer: Any = Outbox()
    writer: Any = None
    task = PartitionTask(
        TopicPartition("calls", 1), stage, writer, producer, dead_letters=no_dead_letters(producer)
    )
    for time in (1_790_000_000 * SECOND, 1_790_000_060 * SECOND):
        stage.promise(time)
        for _ in range(3):  # the ticks of the driver
            await task.give(stage.flush())
        assert producer.floors == dict.fromkeys(range(4), time // (10 * SECOND))
