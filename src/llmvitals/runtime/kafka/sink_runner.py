"""Runs sinks on Kafka: each at its own pace; offsets are committed once the sink is done with the records."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from llmvitals.errors import SinkError
from llmvitals.routing import Routing
from llmvitals.runtime.kafka import sink_position
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.feed import Clock, Progress, Refused, fresh, resume
from llmvitals.runtime.kafka.producer import NotSent
from llmvitals.runtime.kafka.sink_task import PARTING, After, SinkTask, news, patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import SourceRecreated
    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.runtime.kafka.feed import Batch, Bounds, Call, Feed
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.runtime.kafka.sink_position import SinkPosition
    from llmvitals.runtime.kafka.tail import Tail
    from llmvitals.settings import Settings
    from llmvitals.stage import Reread, SinkBinding

log = logging.getLogger(__name__)

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0


class SinkRunner:
    """A `feed.Work` that hands the records of topics to sinks.

    A sink that asks for a retry gets the same records again after a while; the other sinks go on meanwhile.
    ready: called with the name of a sink's topic and the reason why the sink is not ready, or None.
    """

    def __init__(
        self,
        bindings: Sequence[SinkBinding],
        settings: Settings,
        *,
        tail: Tail,
        producer: Producer,
        meters: Meters,
        ready: Callable[[str, str | None], None],
    ) -> None:
        self._tail, self._producer, self._meters, self._ready = tail, producer, meters, ready
        self._tasks = {
            settings.topic(binding.topic): SinkTask(
                binding,
                settings.topic(binding.topic),
                binding.history and settings.topic(binding.history),
                binding.beside and settings.topic(binding.beside),
                After(binding.after and settings.topic(binding.after)),
            )
            for binding in bindings
        }
        self.topics = tuple(self._tasks)
        self.failed: BaseException | None = None
        self._positions: dict[TopicPartition, SinkPosition] = {}
        self._ids: dict[str, str] = {}
        self._feed: Feed | None = None
        self._leaving = asyncio.Event()

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._producer.start()
        await self._tail.start()

    async def stop(self) -> None:
        """Stop the sinks and close the connections."""
        await asyncio.gather(*[self._part(task) for task in self._tasks.values()])
        await self._tail.stop()
        await self._producer.stop()

    def adopt(self, rules: Reread) -> bool:
        """Hand the new routes to the sinks; False: the partitions need not be taken over again."""
        if not isinstance(rules, Routing):
            raise TypeError("sinks adopt a Routing")
        for task in self._tasks.values():
            task.sink.adopt(rules)
        return False

    def clocks(self) -> Sequence[Clock]:
        """One for each sink, so that none waits for another."""
        return [Clock(partial(self._tick, task), task.wanted) for task in self._tasks.values()]

    def progress(self) -> list[Progress]:
        """How far each partition is done."""
        return [
            Progress(partition, position.next, self._tasks[partition.topic].waiting)
            for partition, position in self._positions.items()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Start where the group has committed, else at the beginning; also where the topic is another one.

        A sink may do again what it has done, so a topic that was created again is read as a whole. Raises
        KafkaError, and SourceRecreated where the id is not known and the topic ends before the offset.
        """
        self.forget()
        commits, bounds = await feed.committed(partitions), await feed.bounds(partitions)
        ids, positions = await feed.topic_ids(), {}
        for partition in partitions:
            topic_id = ids.get(partition.topic, "")
            positions[partition] = sink_position.start_position(
                partition, commits[partition], bounds[partition], topic_id=topic_id, meters=self._meters
            )
        for task in self._tasks.values():
            task.started = False
            if any(partition.topic == task.topic for partition in partitions):
                # The history last, so that it holds what the last owner wrote when it stopped.
                task.after.forget()
                topics = filter(None, (task.beside_topic, task.after.topic))
                task.beside = [record for topic in topics for record in await self._tail.whole(topic)]
                task.history = await self._tail.whole(task.history_topic) if task.history_topic else None
        self._leaving = asyncio.Event()
        self._feed, self._positions, self._ids = feed, positions, ids
        return {partition: position.next for partition, position in positions.items()}

    def forget(self) -> None:
        """Give the partitions up; the next owner does again what is not committed."""
        self._leaving.set()
        self._feed, self._positions = None, {}
        for task in self._tasks.values():
            self._report(task)

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Hand a batch to its sink until it is done. Raises SinkError when trying again is of no use."""
        task, feed, leaving = self._tasks[partition.topic], self._feed, self._leaving
        async with task.lock:
            position = self._positions.get(partition)
            if position is None or feed is None or batch.stamp != feed.stamp:
                return
            if leaving.is_set() or self.failed:
                return
            try:
                records = fresh(batch, position.next)
            except Refused as gap:
                self._meters.count("offset_gaps", 1, topic=task.topic, partition=str(partition.partition))
                await feed.seek(partition, gap.expected)
                return
            if records:
                await self._insist(task, leaving, partial(self._give, task, position, records, end=batch.end))
                if task.sink.ticks:
                    task.wanted.set()
            else:
                position.next = max(position.next, batch.end)

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention has deleted the next records: count what is lost and go on. Raises SourceRecreated."""
        position, feed = self._positions.get(partition), self._feed
        if position is None or feed is None:
            return
        async with self._tasks[partition.topic].lock:
            position.next = resume(
                partition, bounds, self._meters, offset=position.next, counted=position.next
            )
            await feed.seek(partition, position.next)

    def recreated(self, topic: str, *, had: str, now: str) -> SourceRecreated:
        """Return the error for a topic that has another id; a restart reads it from its beginning."""
        return sink_position.replaced(topic, had=had, now=now)

    async def save(self, *, last: bool = False) -> bool:
        """Commit what is done; last: give calls that are under way a moment to end."""
        feed = self._feed
        if feed is None or self.failed or not feed.holds():
            return False
        if last:
            self._leaving.set()
            await asyncio.gather(*[task.settle() for task in self._tasks.values()])
        moved = {
            p: position.next for p, position in self._positions.items() if position.next != position.committed
        }
        metadata = {topic: sink_position.metadata(self._ids.get(topic, "")) for topic in self.topics}
        if moved and not await feed.commit({p: (offset, metadata[p.topic]) for p, offset in moved.items()}):
            return False
        for partition, offset in moved.items():
            self._positions[partition].committed = offset
        return True

    def _of(self, task: SinkTask) -> list[SinkPosition]:
        return [position for position in self._positions.values() if position.partition.topic == task.topic]

    def _report(self, task: SinkTask) -> None:
        self._ready(task.name, task.trouble() if self._of(task) else None)

    async def _tick(self, task: SinkTask) -> None:
        self._report(task)
        if not self._of(task):
            await self._rest(task)
            return
        if task.lock.locked() and not task.sink.ticks:
            return  # the call under way has looked whether the store lacks records
        leaving, records = self._leaving, await self._news(task)
        async with task.lock:
            await self._insist(task, leaving, partial(self._due, task, records))

    async def _due(self, task: SinkTask, news: list[Record]) -> None:
        """Hand over the news, see whether the store still has what was done, and let the sink tick."""
        feed = self._feed
        await self._begin(task)
        if news:
            task.sink.hear(news)
            news.clear()
        if feed is None or not feed.holds():
            return  # what is done now could not be marked, and the next owner would do it again
        for position in self._of(task):
            await sink_position.rewound(task, feed, position)
        messages = await task.answer(task.sink.tick())
        if messages:
            passing("after-tick")
        await self._send(task, feed, messages)

    async def _give(
        self, task: SinkTask, position: SinkPosition, records: Sequence[Record], *, end: int
    ) -> None:
        """Have the sink take records; after that everything before `end` is done."""
        feed = self._feed
        await self._begin(task)
        if await sink_position.rewound(task, feed, position):
            return
        await self._send(task, feed, await task.answer(task.sink.take(position.partition.partition, records)))
        position.next, position.stored = max(position.next, end), records[-1].offset + 1

    async def _send(self, task: SinkTask, feed: Feed | None, messages: Sequence[Message]) -> None:
        if feed is None or feed is not self._feed or not feed.holds():
            # Another process has started from what was written; our messages would undo what it does.
            messages = task.beside_only(messages)
        await self._producer.deliver(messages)

    async def _news(self, task: SinkTask) -> list[Record]:
        """Return what was written to the followed topics since the last call."""
        feed = self._feed
        if feed is None or not task.started:
            return []
        taken = {position.partition: position.next for position in self._of(task)}
        records = await news(self._tail, task.beside_topic)
        return records + await task.after.news(self._tail, feed, taken)

    async def _part(self, task: SinkTask) -> None:
        with suppress(TimeoutError, NotSent):
            await asyncio.wait_for(self._rest(task), PARTING)
        await task.sink.stop()

    async def _rest(self, task: SinkTask) -> None:
        """The sink's partitions are gone: have it stop what must not run twice."""
        if task.awake:
            async with task.lock:
                task.awake = False
                await self._producer.deliver(task.beside_only(await task.sink.rest()))

    async def _begin(self, task: SinkTask) -> None:
        if not task.started:
            task.awake = True
            await task.answer(task.sink.start(task.history))
            if task.beside_topic:
                task.sink.hear(task.beside)
            task.started, task.history, task.beside = True, None, ()

    async def _insist(self, task: SinkTask, leaving: asyncio.Event, call: Call) -> None:
        """Call until it succeeds or the partitions are given up."""
        wait = _FIRST_WAIT
        while not leaving.is_set():
            try:
                await call()
            except SinkError as error:
                if not error.retry:
                    raise
                seconds = patience(wait, error.retry_after)
                self._set_retrying(task, str(error), seconds)
                # A sink that says when to come again may only be slow, as Slack is with a storm of alerts.
                wait = wait if error.retry_after else min(wait * 2, _LONGEST_WAIT)
                with suppress(TimeoutError):
                    await asyncio.wait_for(leaving.wait(), seconds)
            else:
                self._set_retrying(task, None)
                return
        task.retrying = None

    def _set_retrying(self, task: SinkTask, reason: str | None, pause: float = 0.0) -> None:
        if reason and reason != task.retrying:
            log.warning("%s: %s. Trying again in %.1f s.", task.name, reason, pause)
        elif task.retrying and not reason:
            log.info("%s: it works again", task.name)
        task.retrying = reason
        self._report(task)
