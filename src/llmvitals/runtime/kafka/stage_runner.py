"""Stages driven by Kafka: apply, send, await every delivery, write the checkpoint, commit."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from llmvitals.record.log import Topic
from llmvitals.routing import Routing
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.cut_series import CutSeriesLog
from llmvitals.runtime.kafka.dead_letters import DeadLetters
from llmvitals.runtime.kafka.feed import Progress, Refused, recreated, resume
from llmvitals.runtime.kafka.partition_task import CUT, PartitionTask, counted, settled
from llmvitals.window import NEVER, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import SourceRecreated
    from llmvitals.meters import Meters
    from llmvitals.record.chunk import Saved
    from llmvitals.runtime.kafka.checkpoint import CheckpointStore
    from llmvitals.runtime.kafka.feed import Batch, Bounds, Clock, Feed
    from llmvitals.runtime.kafka.partition_task import SavePoint
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.settings import Settings
    from llmvitals.stage import Reread, StageFactory

log = logging.getLogger(__name__)

_LOOK = 0.02
"""Seconds between looks whether dead letters can be delivered again."""


class StageRunner:
    """A `feed.Work` that drives one stage per partition.

    store, producer: checkpoints, and where messages leave. ready: is told what keeps dead letters from their
    topic: until that is over, nothing is read, sent or saved. clock: seconds, monotonic; wall: µs since 1970.
    A failure anywhere marks it failed: nothing is saved any more, and the error goes up.
    """

    def __init__(  # noqa: PLR0913 - what it drives, and what it is handed
        self,
        topics: tuple[str, ...],
        make: StageFactory,
        settings: Settings,
        *,
        store: CheckpointStore,
        producer: Producer,
        meters: Meters,
        ready: Callable[[str, str | None], None] = lambda _who, _reason: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.topics, self._make = topics, make
        self._store, self._producer, self._meters = store, producer, meters
        self._dead_letters = DeadLetters(producer, settings.topic(Topic.DEAD_LETTERS), ready)
        self._clock, self._wall = clock, wall
        self._idle = duration(settings.idle) / SECOND
        self._pane = duration(settings.pane) / SECOND
        self._disorder = duration(settings.disorder)
        self._calls = settings.calls
        self.failed: BaseException | None = None
        self._tasks: dict[TopicPartition, PartitionTask] = {}
        self._feed: Feed | None = None
        self._saving = asyncio.Lock()
        self._cut_log = CutSeriesLog(clock)

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._producer.start()
        await self._store.start()

    async def stop(self) -> None:
        """Close."""
        self._dead_letters.forget()
        await self._store.stop()
        await self._producer.stop()

    def adopt(self, rules: Reread) -> bool:
        """Make stages by this factory from the next `load` on; True: the partitions have to be taken over."""
        if isinstance(rules, Routing):
            raise TypeError("stages adopt a StageFactory")
        self._make = rules
        return True

    def clocks(self) -> Sequence[Clock]:
        """One: flush what is worth it, promise for idle partitions, measure."""
        return [self.tick]

    def progress(self) -> list[Progress]:
        """How far each partition is applied."""
        waiting = self._dead_letters.trouble
        return [
            Progress(task.partition, task.stage.next, waiting, task.pieces) for task in self._tasks.values()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Restore a stage for each partition; give the offsets to read from.

        Raises StateLost, SourceRecreated, MissingTopic, or KafkaError.
        """
        self._feed, self._tasks = None, {}
        self._dead_letters.forget()
        ids = await feed.topic_ids()
        loaded = await self._store.load(await feed.committed(partitions), feed.generation, ids)
        bounds, sources, tasks = await feed.bounds(partitions), feed.sources(), {}
        for partition in partitions:
            saved, writer = loaded[partition]
            beginning = bounds[partition].beginning
            if saved.at >= 0:
                self._same(partition.topic, saved, ids.get(partition.topic, ""))
                resume(partition, bounds[partition], self._meters, offset=saved.offset, counted=saved.applied)
            stage = self._make(
                partition.topic, partition.partition, parts=saved.parts, beginning=beginning, sources=sources
            )
            stage.next = max(stage.next, beginning)
            tasks[partition] = task = PartitionTask(
                partition, stage, writer, self._producer, dead_letters=self._dead_letters
            )
            if saved.at >= 0:
                task.counted = counted(stage)  # an earlier owner has told the meters
            task.heard = task.promised = task.quiet = self._clock()
            if saved.heard:
                # Event time goes on from when the earlier owners last heard of it: else every restart in a
                # long silence would put the clock back by that silence, and the cluster would wait for it.
                task.quiet -= max(0, self._wall() - saved.heard) / SECOND
            task.replayed = saved.applied
        self._feed, self._tasks = feed, tasks
        return {partition: task.stage.next for partition, task in tasks.items()}

    def forget(self) -> None:
        """Drop the stages; what they have not saved, the next owner does again."""
        self._measure()
        for task in self._tasks.values():
            task.closed = True
        self._feed, self._tasks = None, {}
        self._dead_letters.forget()

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Apply a batch and send what comes out. Raises what the stage or Kafka raises."""
        task, feed = self._tasks.get(partition), self._feed
        if task is None or feed is None or batch.stamp != feed.stamp or not await self._free(task):
            return
        try:
            before = task.watermark
            # Filtered calls and dead letters say nothing of event time: with them alone it is silent.
            if await task.take(batch) and (task.watermark > before or not task.stage.can_promise):
                task.heard = self._clock()
                if task.stage.next > task.replayed:
                    task.quiet = task.heard
        except Refused as gap:
            self._meters.count("offset_gaps", 1, **task.labels)
            log.warning(
                "%s[%d]: records %d to %d are missing, reading them again",
                *partition, gap.expected, batch.start - 1,
            )  # fmt: skip
            await feed.seek(partition, gap.expected)

    async def _free(self, task: PartitionTask) -> bool:
        """Wait while dead letters can't be delivered; False when nothing is to be taken any more."""
        while not (task.closed or self.failed):
            await task.reap()
            if not (self._dead_letters.trouble or task.full):
                return True
            await asyncio.sleep(_LOOK)
        return False

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention overtook the reading: count what is lost and go on. Raises SourceRecreated."""
        task, feed = self._tasks.get(partition), self._feed
        if task is None or feed is None:
            return
        async with task.reading, task.lock:
            at = task.stage.next
            task.stage.next = resume(partition, bounds, self._meters, offset=at, counted=at)
            await feed.seek(partition, task.stage.next)

    def recreated(self, topic: str, *, had: str, now: str, counted: int = 0) -> SourceRecreated:
        """Nothing is read any more; counted: the offset that the topic was read up to."""
        return recreated(topic, had=had, now=now, own=topic not in self._calls, counted=counted)

    def _same(self, topic: str, saved: Saved, now: str) -> None:
        """Raise SourceRecreated when the checkpoint is that of another topic, and anything of it was read."""
        if saved.topic_id and now and saved.topic_id != now and max(saved.applied, saved.offset) > 0:
            raise self.recreated(topic, had=saved.topic_id, now=now, counted=saved.applied)

    async def save(self, *, last: bool = False) -> bool:
        """Write and commit what is applied; last: flush and save all of it, and take nothing any more."""
        async with self._saving:
            feed, points = self._feed, []
            if feed is None or self.failed or not feed.holds():
                return False
            for task in list(self._tasks.values()):
                async with task.lock:
                    if last:
                        if not self._dead_letters.trouble:
                            await task.give(task.stage.flush())
                        task.closed = True
                    points.append(task.point(self._heard(task), whole=last))
            return await self._write(feed, points) or self._dead_letters.trouble is not None

    async def tick(self) -> None:
        """Flush every stage, and promise for those that are idle."""
        if self._dead_letters.trouble:
            self._measure()
            return
        began = self._clock()
        for task in list(self._tasks.values()):
            async with task.lock:
                if not task.closed:
                    await task.give(task.stage.flush())
        if self._tasks:
            self._meters.observe("flush_seconds", self._clock() - began)
        await self._promise()
        self._measure()

    async def _write(self, feed: Feed, points: Sequence[SavePoint]) -> bool:
        """Deliveries, checkpoints, commit, in this order.

        False: the generation is over, or dead letters can't be delivered, and nothing was written.
        """
        began = self._clock()
        if not await settled(points, self._dead_letters.blocked) or not feed.holds():
            return False
        passing("before-checkpoint")
        marks = await asyncio.gather(*[point.task.write(point) for point in points])
        passing("after-checkpoint")
        written = [(point, mark) for point, mark in zip(points, marks, strict=True) if mark]
        if written:
            passing("before-commit")
            offsets = {point.task.partition: (point.snapshot.offset, str(mark)) for point, mark in written}
            if not await feed.commit(offsets):
                return False
            passing("after-commit")
            await asyncio.gather(*[point.task.writer.sweep() for point, _ in written])
            self._meters.observe("checkpoint_seconds", self._clock() - began)
        return True

    async def _promise(self) -> None:
        """For partitions that are caught up and silent: commit a promise, and only then send it."""
        feed = self._feed
        if feed is None or not (idle := [task for task in self._tasks.values() if self._silent(task, feed)]):
            return
        async with self._saving, AsyncExitStack() as held:
            for task in idle:
                await held.enter_async_context(task.lock)
            idle = [task for task in idle if self._silent(task, feed)]
            now = self._event_clock()
            for task in idle:
                task.stage.promise(now)
                task.promised = self._clock()
            if await self._write(feed, [task.point(self._heard(task)) for task in idle]):
                for task in idle:
                    await task.give(task.stage.flush())

    def _silent(self, task: PartitionTask, feed: Feed) -> bool:
        now = self._clock()
        return (
            task.stage.can_promise
            and not task.closed
            and not task.holding  # the promise has to be saved before anything else is done
            and now - task.heard >= self._idle
            and now - task.promised >= self._pane
            and feed is self._feed
            and feed.caught_up(task.partition, task.stage.next)
        )

    def _event_clock(self) -> int:
        """What time it is where the events are: the newest watermark here, and the silence since.

        Not the wall clock: of old files that are published one by one, the next would be late. The silence
        outlives its owners (`Chunk.heard`), so a restart changes nothing about what is promised.
        """
        told = [task for task in self._tasks.values() if task.watermark > NEVER]
        if not told:
            return self._wall() - self._disorder
        silence = self._clock() - max(task.quiet for task in told)
        return max(task.watermark for task in told) + int(silence * SECOND)

    def _heard(self, task: PartitionTask) -> int:
        """`task.quiet` as other processes understand it, µs since 1970."""
        return self._wall() - int((self._clock() - task.quiet) * SECOND)

    def _measure(self) -> None:
        for task in self._tasks.values():
            counts = counted(task.stage)
            news = {key: value - task.counted.get(key, 0) for key, value in counts.items()}
            for (name, code), added in news.items():
                if added:
                    self._meters.count(name, added, **task.labels, code=code, view=code)
            cut = [view for (name, view), added in news.items() if name == CUT and added]
            if task.stage.roster is not None:
                self._cut_log.look(task.stage.roster, cut)
            task.counted = counts
            if (watermark := task.watermark) > NEVER:
                delay = (self._wall() - watermark) / SECOND
                self._meters.gauge("watermark_delay_seconds", delay, **task.labels)
