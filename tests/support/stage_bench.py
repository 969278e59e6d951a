"""A StageRunner with a small stage, between a broker, a group and clocks that are held in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from llmvitals.meters import Unmetered
from llmvitals.record.chunk import Saved
from llmvitals.record.log import Logged, Message, Snapshot, Topic
from llmvitals.runtime.kafka.feed import Batch, Bounds
from llmvitals.runtime.kafka.stage_runner import StageRunner
from llmvitals.settings import Settings
from llmvitals.stage import Stage
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from llmvitals.record.log import Record

HERE, THERE = TopicPartition("calls", 0), TopicPartition("calls", 1)


class Counting(Stage):
    """Sends one message per batch and per kept promise; remembers what it was told."""

    can_promise = True
    watermark = NEVER

    def __init__(self, *, parts: dict[str, bytes], beginning: int):
        self.next = int(parts["manifest"]) if parts else beginning
        self.given, self.acknowledged, self.promises = 0, 0, list[int]()
        self.unsent = False
        self.slow, self.steps = False, 0

    @property
    def counters(self) -> dict[str, int]:  # type: ignore[override] # computed when it is read
        return {"in": self.next}

    @property
    def dead_letters(self) -> dict[str, int]:  # type: ignore[override] # computed when it is read
        return {"not_json": self.next // 5}

    def apply(self, records: Sequence[Record]) -> list[Message]:
        self.next = records[-1].offset + 1
        self.watermark = max(self.watermark, *(record.timestamp for record in records))
        self.given += 1
        return [Message(Topic.PARTIALS, b"frame", b"%d" % self.next)]

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        for _ in records if self.slow else ():
            self.steps += 1
            yield []
        yield self.apply(records)

    def promise(self, floor_time: int) -> None:
        self.promises.append(floor_time)
        self.unsent = True

    def flush(self) -> list[Message]:
        self.given += self.unsent
        messages = [Message(Topic.PARTIALS, b"promise", b"%d" % self.promises[-1])] if self.unsent else []
        self.unsent = False
        return messages

    def mark(self) -> int:
        return self.given

    def delivered(self, mark: int) -> None:
        self.acknowledged = mark

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        return Snapshot(
            self.next, {"manifest": b"%d" % self.next, **{f"p{n}": b"" for n in range(len(self.promises))}}
        )


class World:
    """The broker, the group and the clocks of one test: what happened, in order."""

    generation = stamp = 1

    def __init__(self) -> None:
        self.events: list[str] = []
        self.now, self.held, self.accepts = 1_000.0, True, True
        self.wall, self.heard = 5_000_000_000, 0
        self.unacknowledged: list[asyncio.Future[None]] | None = None
        self.saved, self.commits = defaultdict(Saved), dict[TopicPartition, tuple[int, str]]()
        self.limits, self.counts = defaultdict(lambda: Bounds(0, 1_000)), defaultdict[str, int](int)
        self.end = 0
        self.ids = {"calls": "new"}

    # the producer
    async def post(self, message: Message) -> asyncio.Future[None]:
        self.events.append(f"send {message.key.decode()} {(message.value or b'').decode()}")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.unacknowledged is None:
            future.set_result(None)
        else:
            self.unacknowledged.append(future)
        return future

    # the store, and a writer
    async def load(
        self, commits: Mapping[TopicPartition, Any], generation: int, ids: Mapping[str, str]
    ) -> dict[TopicPartition, Any]:
        assert ids == self.ids
        return {partition: (self.saved[partition], self) for partition in commits}

    async def write(self, snapshot: Snapshot, applied: int, heard: int) -> str:
        self.events.append(f"checkpoint {snapshot.offset}")
        self.heard = heard
        return "mark"

    async def sweep(self) -> None: ...

    # the feed
    def holds(self) -> bool:
        return self.held

    def caught_up(self, partition: TopicPartition, offset: int) -> bool:
        return offset >= self.end

    def sources(self) -> dict[str, int]:
        return {"calls": 2}

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, tuple[int, str] | None]:
        return {partition: self.commits.get(partition) for partition in partitions}

    async def topic_ids(self) -> dict[str, str]:
        return self.ids

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        return {partition: self.limits[partition] for partition in partitions}

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        self.events.append(f"seek {offset}")

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> bool:
        self.events.append(f"commit {sorted(offset for offset, _ in offsets.values())}")
        if self.accepts:
            self.commits.update(offsets)
        return self.accepts


class Counts(Unmetered):
    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.gauges: dict[tuple[str, str], float] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        self.counts[" ".join(filter(None, (name, labels.get("code"))))] += value

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name, labels["partition"]] = value

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.seconds[name].append(value)


class Bench:
    def __init__(self) -> None:
        self.world, self.stages, self.meters = World(), dict[int, Counting](), Counts()
        world: Any = self.world

        def make(
            topic: str, partition: int, *, parts: dict[str, bytes], beginning: int, sources: dict[str, int]
        ) -> Counting:
            assert sources == {"calls": 2}
            self.stages[partition] = Counting(parts=parts, beginning=beginning)
            return self.stages[partition]

        self.runner = StageRunner(
            ("calls",), make, Settings(idle="15s", pane="10s", disorder="10s"), store=world, producer=world,
            meters=self.meters, clock=lambda: self.world.now, wall=lambda: self.world.wall,
        )  # fmt: skip

    async def load(self, *partitions: TopicPartition) -> dict[TopicPartition, int]:
        world: Any = self.world
        return await self.runner.load(world, partitions or (HERE,))

    async def take(
        self, start: int, end: int, *, partition: TopicPartition = HERE, stamp: int = 1, skip: int = 0
    ) -> None:
        records = [Logged(offset, offset * 1_000_000, b"") for offset in range(start + skip, end)]
        await self.runner.take(partition, Batch(stamp, start, end, records))

    def drain(self) -> list[str]:
        events, self.world.events = self.world.events, []
        return events
