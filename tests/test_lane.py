from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from llmvitals.kafka.lane import Lane
from llmvitals.pipeline import Pipeline
from llmvitals.record.frame import Frame
from llmvitals.record.log import Message, Topic
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


async def test_the_promise_of_a_partition_without_calls_reaches_every_shard(tmp_path: Path) -> None:
    """Nobody has to wait for a partition on which nothing was ever published."""
    pipeline = Pipeline.of(Settings(alerts=tmp_path), 4, ["calls"])
    stage = pipeline.combining("calls", 1, parts={}, beginning=0, sources={"calls": 2})
    outbox: Any = Outbox()
    ledger: Any = None
    lane = Lane(TopicPartition("calls", 1), stage, ledger, outbox)
    for time in (1_790_000_000 * SECOND, 1_790_000_060 * SECOND):
        stage.promise(time)
        for _ in range(3):  # the ticks of the driver
            await lane.give(stage.flush())
        assert outbox.floors == dict.fromkeys(range(4), time // (10 * SECOND))
