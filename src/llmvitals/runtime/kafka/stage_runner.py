"""Stages driven by Kafka: apply, send, await every delivery, write the checkpoint, commit."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.cut_series import CutSeriesLog
from llmvitals.runtime.kafka.dead_letters import DeadLetters
from llmvitals.runtime.kafka.feed import Progress, Refused, recreated, resume
from llmvitals.runtime.kafka.partition_task import CUT, PartitionTask, counted, settled
from llmvitals.window import NEVER, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import SourceRecreated
    from llmvitals.meters import Meters
    from llmvitals.record.chunk import Saved
    from llmvitals.runtime.kafka.checkpoint import CheckpointStore
    from llmvitals.runtime.kafka.feed import Batch, Bounds, Feed
    from llmvitals.runtime.kafka.partition_task import SavePoint
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.settings import Settings
    from llmvitals.stage import Idler, Make

log = logging.getLogger(__name__)

_LOOK = 0.02
"""Seconds between looks whether dead letters can be delivered again."""


class StageRunner:
    """A `feed.Work` that drives one stage per partition.

    store, outbox: checkpoints, and where messages leave. ready: is told what keeps dead letters from their
    topic: until that is over, nothing is read, sent or saved. clock: seconds, monotonic; wall: µs since 1970.
    A failure anywhere marks it failed: nothing is saved any more, and the error goes up.
    """

    def __init__(  # noqa: PLR0913 - what it drives, and what it is handed
        self,
        topics: tuple[str, ...],
        make: Make,
        settings: Settings,
        *,
        store: CheckpointStore,
        outbox: Producer,
        meters: Meters,
        ready: Callable[[str, str | None], None] = lambda _who, _reason: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.topics, self._make = topics, make
        self._store, self._outbox, self._meters = store, outbox, meters
        self._letters = DeadLetters(outbox, settings.topic(Topic.DEAD_LETTERS), ready)
        self._clock, self._wall = clock, wall
        self._idle = duration(settings.idle) / SECOND
        self._pane = duration(settings.pane) / SECOND
        self._disorder = duration(settings.disorder)
        self._calls = settings.calls
        self.failed: BaseException | None = None
        self._lanes: dict[TopicPartition, PartitionTask] = {}
        self._feed: Feed | None = None
        self._saving = asyncio.Lock()
        self._crowd = CutSeriesLog(clock)

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._outbox.start()
        await self._store.start()

    async def stop(self) -> None:
        """Close."""
        self._letters.forget()
        await self._store.stop()
        await self._outbox.stop()

    def adopt(self, found: Make) -> bool:
        """Stages are made by this one from the next `load` on."""
        self._make = found
        return True

    def clocks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """One: flush what is worth it, promise for idle partitions, measure."""
        return [self.tick]

    def progress(self) -> list[Progress]:
        """How far each partition is applied."""
        waiting = self._letters.trouble
        return [
            Progress(lane.partition, lane.stage.next, waiting, lane.pieces) for lane in self._lanes.values()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Restore a stage for each partition; give the offsets to read from.

        Raises StateLost, SourceRecreated, MissingTopic, or KafkaError.
        """
        self._feed, self._lanes = None, {}
        self._letters.forget()
        ids = await feed.topic_ids()
        loaded = await self._store.load(await feed.committed(partitions), feed.generation, ids)
        bounds, sources, lanes = await feed.bounds(partitions), feed.sources(), {}
        for partition in partitions:
            saved, ledger = loaded[partition]
            beginning = bounds[partition].beginning
            if saved.at >= 0:
                self._same(partition.topic, saved, ids.get(partition.topic, ""))
                resume(partition, bounds[partition], self._meters, offset=saved.offset, counted=saved.applied)
            stage = self._make(
                partition.topic, partition.partition, parts=saved.parts, beginning=beginning, sources=sources
            )
            stage.next = max(stage.next, beginning)
            lanes[partition] = lane = PartitionTask(
                partition, stage, ledger, self._outbox, letters=self._letters
            )
            if saved.at >= 0:
                lane.counted = counted(stage)  # an earlier owner has told the meters
            lane.heard = lane.promised = lane.quiet = self._clock()
            if saved.heard:
                # Event time goes on from when the earlier owners last heard of it: else every restart in a
                # long silence would put the clock back by that silence, and the cluster would wait for it.
                lane.quiet -= max(0, self._wall() - saved.heard) / SECOND
            lane.replayed = saved.applied
        self._feed, self._lanes = feed, lanes
        return {partition: lane.stage.next for partition, lane in lanes.items()}

    def forget(self) -> None:
        """Drop the stages; what they have not saved, the next owner does again."""
        self._measure()
        for lane in self._lanes.values():
            lane.closed = True
        self._feed, self._lanes = None, {}
        self._letters.forget()

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Apply a batch and send what comes out. Raises what the stage or Kafka raises."""
        lane, feed = self._lanes.get(partition), self._feed
        if lane is None or feed is None or batch.stamp != feed.stamp or not await self._free(lane):
            return
        try:
            before = lane.watermark
            # Filtered calls and dead letters say nothing of event time: with them alone it is silent.
            if await lane.take(batch) and (lane.watermark > before or not hasattr(lane.stage, "promise")):
                lane.heard = self._clock()
                if lane.stage.next > lane.replayed:
                    lane.quiet = lane.heard
        except Refused as gap:
            self._meters.count("offset_gaps", 1, **lane.labels)
            log.warning(
                "%s[%d]: records %d to %d are missing, reading them again",
                *partition, gap.expected, batch.start - 1,
            )  # fmt: skip
            await feed.seek(partition, gap.expected)

    async def _free(self, lane: PartitionTask) -> bool:
        """Wait while dead letters can't be delivered; False when nothing is to be taken any more."""
        while not (lane.closed or self.failed):
            await lane.reap()
            if not (self._letters.trouble or lane.full):
                return True
            await asyncio.sleep(_LOOK)
        return False

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention overtook the reading: count what is lost and go on. Raises SourceRecreated."""
        lane, feed = self._lanes.get(partition), self._feed
        if lane is None or feed is None:
            return
        async with lane.reading, lane.lock:
            at = lane.stage.next
            lane.stage.next = resume(partition, bounds, self._meters, offset=at, counted=at)
            await feed.seek(partition, lane.stage.next)

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
            for lane in list(self._lanes.values()):
                async with lane.lock:
                    if last:
                        if not self._letters.trouble:
                            await lane.give(lane.stage.flush())
                        lane.closed = True
                    points.append(lane.point(self._heard(lane), whole=last))
            return await self._write(feed, points) or self._letters.trouble is not None

    async def tick(self) -> None:
        """Flush every stage, and promise for those that are idle."""
        if self._letters.trouble:
            self._measure()
            return
        began = self._clock()
        for lane in list(self._lanes.values()):
            async with lane.lock:
                if not lane.closed:
                    await lane.give(lane.stage.flush())
        if self._lanes:
            self._meters.observe("flush_seconds", self._clock() - began)
        await self._promise()
        self._measure()

    async def _write(self, feed: Feed, points: Sequence[SavePoint]) -> bool:
        """Deliveries, checkpoints, commit, in this order.

        False: the generation is over, or dead letters can't be delivered, and nothing was written.
        """
        began = self._clock()
        if not await settled(points, self._letters.blocked) or not feed.holds():
            return False
        passing("before-checkpoint")
        marks = await asyncio.gather(*[point.lane.write(point) for point in points])
        passing("after-checkpoint")
        written = [(point, mark) for point, mark in zip(points, marks, strict=True) if mark]
        if written:
            passing("before-commit")
            offsets = {point.lane.partition: (point.snapshot.offset, str(mark)) for point, mark in written}
            if not await feed.commit(offsets):
                return False
            passing("after-commit")
            await asyncio.gather(*[point.lane.ledger.sweep() for point, _ in written])
            self._meters.observe("checkpoint_seconds", self._clock() - began)
        return True

    async def _promise(self) -> None:
        """For partitions that are caught up and silent: commit a promise, and only then send it."""
        feed = self._feed
        if feed is None or not (idle := [lane for lane in self._lanes.values() if self._silent(lane, feed)]):
            return
        async with self._saving, AsyncExitStack() as held:
            for lane in idle:
                await held.enter_async_context(lane.lock)
            idle = [lane for lane in idle if self._silent(lane, feed)]
            now = self._event_clock()
            for lane in idle:
                cast("Idler", lane.stage).promise(now)
                lane.promised = self._clock()
            if await self._write(feed, [lane.point(self._heard(lane)) for lane in idle]):
                for lane in idle:
                    await lane.give(lane.stage.flush())

    def _silent(self, lane: PartitionTask, feed: Feed) -> bool:
        now = self._clock()
        return (
            hasattr(lane.stage, "promise")
            and not lane.closed
            and not lane.holding  # the promise has to be saved before anything else is done
            and now - lane.heard >= self._idle
            and now - lane.promised >= self._pane
            and feed is self._feed
            and feed.caught_up(lane.partition, lane.stage.next)
        )

    def _event_clock(self) -> int:
        """What time it is where the events are: the newest watermark here, and the silence since.

        Not the wall clock: of old files that are published one by one, the next would be late. The silence
        outlives its owners (`Chunk.heard`), so a restart changes nothing about what is promised.
        """
        told = [lane for lane in self._lanes.values() if lane.watermark > NEVER]
        if not told:
            return self._wall() - self._disorder
        silence = self._clock() - max(lane.quiet for lane in told)
        return max(lane.watermark for lane in told) + int(silence * SECOND)

    def _heard(self, lane: PartitionTask) -> int:
        """`lane.quiet` as other processes understand it, µs since 1970."""
        return self._wall() - int((self._clock() - lane.quiet) * SECOND)

    def _measure(self) -> None:
        for lane in self._lanes.values():
            counts = counted(lane.stage)
            news = {key: value - lane.counted.get(key, 0) for key, value in counts.items()}
            for (name, code), added in news.items():
                if added:
                    self._meters.count(name, added, **lane.labels, code=code, view=code)
            cut = [view for (name, view), added in news.items() if name == CUT and added]
            if roster := getattr(lane.stage, "roster", None):
                self._crowd.look(roster, cut)
            lane.counted = counts
            if (watermark := lane.watermark) > NEVER:
                delay = (self._wall() - watermark) / SECOND
                self._meters.gauge("watermark_delay_seconds", delay, **lane.labels)
