"""Runs stages on Kafka: apply, send, await every delivery, write the checkpoint, commit."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from llmvitals.record.log import Topic
from llmvitals.routing import Routing
from llmvitals.runtime import garbage
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.cut_series import CutSeriesLog
from llmvitals.runtime.kafka.dead_letters import DeadLetters
from llmvitals.runtime.kafka.feed import Clock, Progress, Refused, recreated, resume
from llmvitals.runtime.kafka.partition_task import CUT, PartitionTask, counted, event_time, labels_of, settled
from llmvitals.window import NEVER, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import SourceRecreated
    from llmvitals.meters import Meters
    from llmvitals.record.chunk import Saved
    from llmvitals.runtime.kafka.checkpoint import CheckpointStore
    from llmvitals.runtime.kafka.feed import Batch, Bounds, Feed
    from llmvitals.runtime.kafka.partition_task import SavePoint
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.settings import Settings
    from llmvitals.stage import Reread, StageFactory

log = logging.getLogger(__name__)

_LOOK = 0.02
"""Seconds between two checks whether dead letters can be delivered again."""


class StageRunner:
    """A `feed.Work` that runs one stage per partition.

    store: holds the checkpoints. producer: sends the messages. ready: called with the reason why dead letters
    can't be delivered, or None; until they can, nothing is read, sent or saved. clock: seconds, monotonic;
    wall: µs since 1970. After an error it is marked failed: nothing is saved any more, and the error is
    raised.
    """

    def __init__(  # noqa: PLR0913 - its parts and its clients
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
        """One: it flushes, makes promises for idle partitions and reports metrics."""
        return [Clock(self.tick)]

    def progress(self) -> list[Progress]:
        """Return how far each partition is applied."""
        waiting = self._dead_letters.trouble
        return [
            Progress(task.partition, task.stage.next, waiting, task.pieces) for task in self._tasks.values()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Restore a stage for each partition; return the offsets to read from.

        Raises StateLost, SourceRecreated, MissingTopic, or KafkaError.
        """
        self._feed, self._tasks = None, {}
        self._dead_letters.forget()
        garbage.collect()
        ids = await feed.topic_ids()
        loaded = await self._store.load(await feed.committed(partitions), feed.generation, ids)
        bounds, sources, tasks = await feed.bounds(partitions), feed.sources(), {}
        for partition in partitions:
            saved, writer = loaded[partition]
            beginning = bounds[partition].beginning
            if saved.at >= 0:
                self._same(partition.topic, saved, ids.get(partition.topic, ""))
                resume(partition, bounds[partition], self._meters, offset=saved.offset, counted=saved.applied)
            # In a thread, because a large checkpoint takes seconds to decode.
            stage = await asyncio.to_thread(
                self._make, *partition, parts=saved.parts, beginning=beginning, sources=sources
            )
            stage.next = max(stage.next, beginning)
            tasks[partition] = task = PartitionTask(
                partition, stage, writer, self._producer, dead_letters=self._dead_letters
            )
            if saved.at >= 0:
                task.counted = counted(stage)  # an earlier owner has reported them
            task.heard = task.promised = task.quiet = self._clock()
            if saved.heard:
                # Event time is counted from when an earlier owner last saw it move: else every restart in a
                # long silence would put the clock back by that silence, and all partitions would wait for it.
                task.quiet -= max(0, self._wall() - saved.heard) / SECOND
            task.replayed = saved.applied
        self._feed, self._tasks = feed, tasks
        return {partition: task.stage.next for partition, task in tasks.items()}

    def forget(self) -> None:
        """Drop the stages; the next owner does again what they have not saved."""
        self._measure()
        for task in self._tasks.values():
            task.closed = True
        self._feed, self._tasks = None, {}
        self._dead_letters.forget()

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Apply a batch and send the messages. Raises what the stage or Kafka raises."""
        task, feed = self._tasks.get(partition), self._feed
        if task is None or feed is None or batch.stamp != feed.stamp or not await self._free(task):
            return
        try:
            before = task.watermark
            # Filtered calls and dead letters have no event time, so they do not end a silence.
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
        """Wait while dead letters can't be delivered; False when no batch may be taken any more."""
        while not (task.closed or self.failed):
            await task.reap()
            if not (self._dead_letters.trouble or task.full):
                return True
            await asyncio.sleep(_LOOK)
        return False

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention has deleted the next records: count what is lost and go on. Raises SourceRecreated."""
        task, feed = self._tasks.get(partition), self._feed
        if task is None or feed is None:
            return
        async with task.reading, task.lock:
            at = task.stage.next
            task.stage.next = resume(partition, bounds, self._meters, offset=at, counted=at)
            await feed.seek(partition, task.stage.next)

    def recreated(self, topic: str, *, had: str, now: str, counted: int = 0) -> SourceRecreated:
        """Return the error for a topic that has another id; counted: the offset it was read up to."""
        return recreated(topic, had=had, now=now, own=topic not in self._calls, counted=counted)

    def _same(self, topic: str, saved: Saved, now: str) -> None:
        """Raise SourceRecreated when the checkpoint belongs to another topic, and records of it were read."""
        if saved.topic_id and now and saved.topic_id != now and max(saved.applied, saved.offset) > 0:
            raise self.recreated(topic, had=saved.topic_id, now=now, counted=saved.applied)

    async def save(self, *, last: bool = False) -> bool:
        """Write a checkpoint and commit; last: flush and save everything, and take nothing any more."""
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
                await asyncio.sleep(0)  # others may run
            return await self._write(feed, points) or self._dead_letters.trouble is not None

    async def tick(self) -> None:
        """Flush every stage, and make promises for idle partitions."""
        if self._dead_letters.trouble:
            self._measure()
            return
        began = self._clock()
        for task in list(self._tasks.values()):
            async with task.lock:
                if not task.closed:
                    await task.give(task.stage.flush())
            await asyncio.sleep(0)  # others may run
        if self._tasks:
            self._meters.observe("flush_seconds", self._clock() - began)
        await self._promise()
        self._measure()

    async def _write(self, feed: Feed, points: Sequence[SavePoint]) -> bool:
        """Await the deliveries, write the checkpoints, commit, in this order.

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
        """Commit a promise for each partition that is caught up and silent, and only then send it."""
        feed = self._feed
        if feed is None or not (idle := [task for task in self._tasks.values() if self._silent(task, feed)]):
            return
        async with self._saving, AsyncExitStack() as held:
            for task in idle:
                await held.enter_async_context(task.lock)
            idle = [task for task in idle if self._silent(task, feed)]
            if (now := event_time(self._tasks.values(), self._clock())) is None:
                now = self._wall() - self._disorder
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
            and not task.holding  # nothing may be done before the promise is saved
            and now - task.heard >= self._idle
            and now - task.promised >= self._pane
            and feed is self._feed
            and feed.caught_up(task.partition, task.stage.next)
        )

    def _heard(self, task: PartitionTask) -> int:
        """Return `task.quiet` on the wall clock, µs since 1970."""
        return self._wall() - int((self._clock() - task.quiet) * SECOND)

    def _measure(self) -> None:
        for task in self._tasks.values():
            counts = counted(task.stage)
            news = {key: value - task.counted.get(key, 0) for key, value in counts.items()}
            for (name, code), added in news.items():
                if added:
                    self._meters.count(name, added, **task.labels, **labels_of(code))
            cut = [view for (name, view), added in news.items() if name == CUT and added]
            if task.stage.roster is not None:
                self._cut_log.look(task.stage.roster, cut)
            task.counted = counts
            if (watermark := task.watermark) > NEVER:
                delay = (self._wall() - watermark) / SECOND
                self._meters.gauge("watermark_delay_seconds", delay, **task.labels)
