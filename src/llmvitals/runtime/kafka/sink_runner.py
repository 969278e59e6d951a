"""Sinks driven by Kafka: each at its own pace, its offsets committed once it is done with them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import SinkError
from llmvitals.runtime.kafka import sink_offsets
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.feed import Progress, Refused, fresh, resume
from llmvitals.runtime.kafka.followed_topics import After, news
from llmvitals.runtime.kafka.producer import NotSent
from llmvitals.runtime.kafka.sink_position import SinkPosition, begun, rewound
from llmvitals.runtime.kafka.sink_task import PARTING, SinkTask, acts, asking, patience, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Sequence

    from aiokafka import TopicPartition

    from llmvitals.errors import SourceRecreated
    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.runtime.kafka.feed import Batch, Bounds, Feed
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.runtime.kafka.tail import Tail
    from llmvitals.settings import Settings
    from llmvitals.stage import SinkBinding

log = logging.getLogger(__name__)

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0


class SinkRunner:
    """A `feed.Work` that hands the records of topics to sinks.

    A sink that asks for a retry gets the same records again, after a while; the others go on meanwhile.
    ready: is told, by the name of a sink's topic, what keeps the sink from its work, or None.
    """

    def __init__(
        self,
        taps: Sequence[SinkBinding],
        settings: Settings,
        *,
        tail: Tail,
        outbox: Producer,
        meters: Meters,
        ready: Callable[[str, str | None], None],
    ) -> None:
        self._tail, self._outbox, self._meters, self._ready = tail, outbox, meters, ready
        self._lines = {
            settings.topic(tap.topic): SinkTask(
                tap,
                settings.topic(tap.topic),
                tap.history and settings.topic(tap.history),
                tap.beside and settings.topic(tap.beside),
                After(tap.after and settings.topic(tap.after)),
            )
            for tap in taps
        }
        self.topics = tuple(self._lines)
        self.failed: BaseException | None = None
        self._cups: dict[TopicPartition, SinkPosition] = {}
        self._ids: dict[str, str] = {}
        self._feed: Feed | None = None
        self._leaving = asyncio.Event()

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._outbox.start()
        await self._tail.start()

    async def stop(self) -> None:
        """Close, the sinks too."""
        for line in self._lines.values():
            with suppress(TimeoutError, NotSent):
                await asyncio.wait_for(self._rest(line), PARTING)
            if stop := getattr(line.sink, "stop", None):
                await stop()
        await self._tail.stop()
        await self._outbox.stop()

    def adopt(self, found: Any) -> bool:
        """Hand it to the sinks that have an `adopt`."""
        for line in self._lines.values():
            if adopt := getattr(line.sink, "adopt", None):
                adopt(found)
        return False

    def clocks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        """One for each sink, so that none waits for another."""
        return [partial(self._idle, line) for line in self._lines.values()]

    def progress(self) -> list[Progress]:
        """How far each partition is done."""
        return [
            Progress(partition, cup.next, self._lines[partition.topic].waiting)
            for partition, cup in self._cups.items()
        ]

    async def load(self, feed: Feed, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Begin where the group has committed, else at the beginning; of another topic too.

        What a sink does it may do again, so a topic that was created again is read as a whole. Raises
        SourceRecreated where that can't be known and the topic ends too soon, KafkaError.
        """
        self.forget()
        commits, bounds = await feed.committed(partitions), await feed.bounds(partitions)
        ids, cups = await feed.topic_ids(), {}
        for partition in partitions:
            topic_id = ids.get(partition.topic, "")
            cups[partition] = begun(
                partition, commits[partition], bounds[partition], topic_id=topic_id, meters=self._meters
            )
        for line in self._lines.values():
            line.started = False
            if any(partition.topic == line.topic for partition in partitions):
                # The history last, so that the last owner's parting words are in it.
                line.after.forget()
                beside = filter(None, (line.beside_topic, line.after.topic))
                line.beside = [record for topic in beside for record in await self._tail.whole(topic)]
                line.history = await self._tail.whole(line.history_topic) if line.history_topic else None
        self._leaving = asyncio.Event()
        self._feed, self._cups, self._ids = feed, cups, ids
        return {partition: cup.next for partition, cup in cups.items()}

    def forget(self) -> None:
        """What is not committed will be done again, by whoever is next."""
        self._leaving.set()
        self._feed, self._cups = None, {}
        for line in self._lines.values():
            self._tell(line)

    async def take(self, partition: TopicPartition, batch: Batch) -> None:
        """Hand a batch to its sink until it is done. Raises SinkError when there is no use in trying."""
        line, feed, leaving = self._lines[partition.topic], self._feed, self._leaving
        async with line.lock:
            cup = self._cups.get(partition)
            if cup is None or feed is None or batch.stamp != feed.stamp or leaving.is_set() or self.failed:
                return
            try:
                records = fresh(batch, cup.next)
            except Refused as gap:
                self._meters.count("offset_gaps", 1, topic=line.topic, partition=str(partition.partition))
                await feed.seek(partition, gap.expected)
                return
            if records:
                await self._insist(line, leaving, partial(self._give, line, cup, records, end=batch.end))
            else:
                cup.next = max(cup.next, batch.end)

    async def expired(self, partition: TopicPartition, bounds: Bounds) -> None:
        """Retention overtook the reading: count what is lost and go on. Raises SourceRecreated."""
        cup, feed = self._cups.get(partition), self._feed
        if cup is None or feed is None:
            return
        async with self._lines[partition.topic].lock:
            cup.next = resume(partition, bounds, self._meters, offset=cup.next, counted=cup.next)
            await feed.seek(partition, cup.next)

    def recreated(self, topic: str, *, had: str, now: str) -> SourceRecreated:
        """Another start reads the new topic from its beginning."""
        return sink_offsets.replaced(topic, had=had, now=now)

    async def save(self, *, last: bool = False) -> bool:
        """Commit what is done; last: wait a moment for what is in work."""
        feed = self._feed
        if feed is None or self.failed or not feed.holds():
            return False
        if last:
            self._leaving.set()
            await asyncio.gather(*[pause(line.lock) for line in self._lines.values()])
        moved = {partition: cup.next for partition, cup in self._cups.items() if cup.next != cup.committed}
        marks = {topic: sink_offsets.metadata(self._ids.get(topic, "")) for topic in self.topics}
        if moved and not await feed.commit({p: (at, marks[p.topic]) for p, at in moved.items()}):
            return False
        for partition, at in moved.items():
            self._cups[partition].committed = at
        return True

    def _of(self, line: SinkTask) -> list[SinkPosition]:
        return [cup for cup in self._cups.values() if cup.partition.topic == line.topic]

    def _tell(self, line: SinkTask) -> None:
        self._ready(line.name, line.trouble() if self._of(line) else None)

    async def _idle(self, line: SinkTask) -> None:
        self._tell(line)
        if not self._of(line):
            await self._rest(line)
            return
        if hasattr(line.sink, "tick"):
            leaving = self._leaving
            found = await self._news(line)
            async with line.lock:
                await self._insist(line, leaving, partial(self._tick, line, found))
        elif not line.lock.locked():
            async with line.lock:
                await self._insist(line, self._leaving, partial(self._look, line))

    async def _look(self, line: SinkTask) -> None:
        """Get the sink ready, and see whether its store still has what was done."""
        await self._begin(line)
        for cup in self._of(line):
            await rewound(line, self._feed, cup)

    async def _give(self, line: SinkTask, cup: SinkPosition, records: Sequence[Record], *, end: int) -> None:
        """Have records taken; after that all before `end` is done."""
        feed = self._feed
        await self._begin(line)
        if await rewound(line, feed, cup):
            return
        await self._send(line, feed, await asking(line, line.sink.take(cup.partition.partition, records)))
        cup.next, cup.stored = max(cup.next, end), records[-1].offset + 1

    async def _tick(self, line: SinkTask, found: list[Record]) -> None:
        feed = self._feed
        await self._begin(line)
        if found:
            line.sink.hear(found)
            found.clear()
        if feed is None or not feed.holds():
            return  # what is done now could not be marked, and the heir would do it again
        messages = await asking(line, line.sink.tick())
        if messages:
            passing("after-tick")
        await self._send(line, feed, messages)

    async def _send(self, line: SinkTask, feed: Feed | None, messages: Sequence[Message]) -> None:
        if feed is None or feed is not self._feed or not feed.holds():
            # Somebody else has taken over from what was written; ours would undo what he does.
            messages = acts(line, messages)
        await self._outbox.deliver(messages)

    async def _news(self, line: SinkTask) -> list[Record]:
        """What the topics beside have had since the last look."""
        feed = self._feed
        if feed is None or not line.started:
            return []
        taken = {cup.partition: cup.next for cup in self._of(line)}
        found = await news(self._tail, line.beside_topic)
        return found + await line.after.news(self._tail, feed, taken)

    async def _rest(self, line: SinkTask) -> None:
        """The sink's partitions are gone: what must not run twice stops."""
        rest = getattr(line.sink, "rest", None)
        if line.awake and rest is not None:
            async with line.lock:
                line.awake = False
                await self._outbox.deliver(acts(line, await rest()))

    async def _begin(self, line: SinkTask) -> None:
        if not line.started:
            line.awake = True
            await asking(line, line.sink.start(line.history))
            if line.beside_topic:
                line.sink.hear(line.beside)
            line.started, line.history, line.beside = True, None, ()

    async def _insist(
        self, line: SinkTask, leaving: asyncio.Event, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> bool:
        """Call until it works; False when the partitions go to somebody else before it does."""
        wait = _FIRST_WAIT
        while not leaving.is_set():
            try:
                await call()
            except SinkError as error:
                if not error.retry:
                    raise
                seconds = patience(wait, error.retry_after)
                self._waits(line, str(error), seconds)
                # One that says when to come again may only be slow, as Slack is with a storm of alerts.
                wait = wait if error.retry_after else min(wait * 2, _LONGEST_WAIT)
                try:
                    await asyncio.wait_for(leaving.wait(), seconds)
                except TimeoutError:
                    continue
            else:
                self._waits(line, None)
                return True
        line.retrying = None
        return False

    def _waits(self, line: SinkTask, reason: str | None, pause: float = 0.0) -> None:
        if reason and reason != line.retrying:
            log.warning("%s: %s. Trying again in %.1f s.", line.name, reason, pause)
        elif line.retrying and not reason:
            log.info("%s: it goes on", line.name)
        line.retrying = reason
        self._tell(line)
