"""One partition at work: its stage, the messages on their way to Kafka, and its checkpoint."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.record.chunk import MANIFEST
from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.feed import fresh
from llmvitals.runtime.kafka.producer import acknowledged
from llmvitals.window import NEVER, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aiokafka import TopicPartition

    from llmvitals.record.log import Message, Snapshot
    from llmvitals.runtime.kafka.checkpoint import CheckpointWriter, Mark
    from llmvitals.runtime.kafka.dead_letters import DeadLetters
    from llmvitals.runtime.kafka.feed import Batch
    from llmvitals.runtime.kafka.producer import Delivery, Producer
    from llmvitals.stage import Stage

OUTSTANDING: Final = 256
"""How many batches of messages may be unacknowledged before no more records are taken."""

CUT: Final = "series_cut"
"""The metric of the entries that are counted in `_other`, by view."""


@dataclass(slots=True)
class _Sending:
    """The messages that a stage returned at once. complete: all are handed over to the producer.

    dead_letters: there are dead letters among them, whose delivery may take any time.
    """

    mark: int
    dead_letters: bool = False
    deliveries: list[Delivery | asyncio.Future[None]] = field(default_factory=list)
    complete: bool = False


class PartitionTask:
    """A stage and its messages on their way to Kafka.

    `lock` is held while the stage is used, except by `settle`, which only tells it what is acknowledged.
    `reading` is held while a batch is taken, and `lock` then only for each piece.
    """

    def __init__(
        self,
        partition: TopicPartition,
        stage: Stage,
        writer: CheckpointWriter,
        producer: Producer,
        *,
        dead_letters: DeadLetters,
    ) -> None:
        self.partition, self.stage, self.writer = partition, stage, writer
        self.reading, self.lock = asyncio.Lock(), asyncio.Lock()
        self.pieces = 0
        """The number of pieces done."""
        self.closed = False
        """No records are taken and no messages sent any more."""
        self.heard = 0.0
        """When the watermark last rose in this process, by the runner's clock; without one: any record."""
        self.quiet = 0.0
        """When event time last went on, by the runner's clock; it may lie before this process began."""
        self.replayed = 0
        """The offset below which records were applied by an earlier owner."""
        self.promised = 0.0
        self.counted: dict[tuple[str, str], int] = {}
        """The stage's totals that the meters know: (metric, code) → total."""
        self._producer, self._dead_letters = producer, dead_letters
        self._sendings: deque[_Sending] = deque()
        self._saved: tuple[int, int, bytes] | None = None
        self._sent_mark = stage.mark()
        """The mark of the last sending."""

    async def take(self, batch: Batch) -> int:
        """Apply the new records of a batch and send the messages, piece by piece; return how many were new.

        Between two pieces others may run. Once `closed` is set it stops: the next owner does the rest. Raises
        feed.Refused when records before the batch are missing.
        """
        async with self.reading:
            async with self.lock:
                records = fresh(batch, self.stage.next)
                work = self.stage.pieces(records) if records else iter(())
            while await self._piece(work):  # noqa: ASYNC110 - nothing is waited for: others may run
                await asyncio.sleep(0)
            async with self.lock:
                if not self.closed:
                    self.stage.next = max(self.stage.next, batch.end)
            return len(records)

    async def _piece(self, work: Iterator[Sequence[Message]]) -> bool:
        """Do the next piece; False when there is none, or the task is closed."""
        async with self.lock:
            messages = None if self.closed else await self._next(work)
            if messages is None:
                return False
            passing("after-apply")
            await self.give(messages)
            passing("after-send")
            self.pieces += 1
            return True

    async def _next(self, work: Iterator[Sequence[Message]]) -> Sequence[Message] | None:
        if self.stage.waits:
            return await asyncio.to_thread(next, work, None)
        return next(work, None)

    async def give(self, messages: Sequence[Message]) -> None:
        """Send the messages that the stage has just returned. Hold the lock.

        Waits only if too much is unacknowledged.
        """
        await self.reap()
        mark = self.stage.mark()
        # The mark may move without a message: a promise closes panes that hold nothing.
        if not messages and mark == self._sent_mark:
            return
        self._sent_mark = mark
        dead = [message for message in messages if message.topic is Topic.DEAD_LETTERS]
        sending = _Sending(mark, dead_letters=bool(dead))
        self._sendings.append(sending)
        if dead:
            sending.deliveries.append(self._dead_letters.send(dead))
        for message in messages:
            if message.topic is not Topic.DEAD_LETTERS:
                sending.deliveries.append(await self._producer.post(message))
        sending.complete = True
        # Dead letters are not waited for with the lock held: see `full`.
        while len(self._sendings) > OUTSTANDING and not self._sendings[0].dead_letters:
            await self._oldest()

    @property
    def watermark(self) -> int:
        """The stage's, µs; window.NEVER when it has none."""
        return self.stage.watermark

    @property
    def labels(self) -> dict[str, str]:
        """The partition as labels of metrics."""
        return {"topic": self.partition.topic, "partition": str(self.partition.partition)}

    @property
    def holding(self) -> bool:
        """Whether dead letters are unacknowledged."""
        return any(sending.dead_letters for sending in self._sendings)

    @property
    def full(self) -> bool:
        """Whether too much is unacknowledged for another batch to be taken."""
        return len(self._sendings) > OUTSTANDING

    async def reap(self) -> None:
        """Tell the stage what is acknowledged by now. Raises NotSent if a message failed."""
        while self._sendings and self._sendings[0].complete:
            sending = self._sendings[0]
            if not all(delivery.done() for delivery in sending.deliveries):
                return
            await acknowledged(sending.deliveries)
            # Meanwhile another task may have told it.
            if self._sendings and self._sendings[0] is sending:
                self._sendings.popleft()
                self.stage.delivered(sending.mark)
                passing("after-delivery")

    def point(self, heard: int, *, whole: bool = False) -> SavePoint:
        """Return what has to be saved, as of now; heard: see `Chunk`. Hold the lock."""
        sending = self._sendings[-1] if self._sendings else None
        return SavePoint(self, self.stage.snapshot(whole=whole), self.stage.next, sending, heard)

    async def settle(self, last: _Sending | None) -> None:
        """Wait until everything up to `last` is acknowledged. Raises NotSent if that can't be."""
        while last is not None and last in self._sendings:
            await self._oldest()

    async def _oldest(self) -> None:
        sending = self._sendings[0]
        await acknowledged(sending.deliveries)
        if not sending.complete:
            raise RuntimeError("sending was interrupted, so the state can't be saved")
        await self.reap()

    async def write(self, point: SavePoint) -> Mark | None:
        """Write a checkpoint; None when nothing has changed since the last one."""
        snapshot = point.snapshot
        state = (snapshot.offset, point.applied, snapshot.parts[MANIFEST])
        if self._saved == state and (snapshot.lasting or len(snapshot.parts) == 1):
            return None
        mark = await self.writer.write(snapshot, point.applied, point.heard)
        self._saved = state
        return mark


class SavePoint(NamedTuple):
    """A snapshot of a task, the offset applied by then, the last sending before it, and `Chunk.heard`."""

    task: PartitionTask
    snapshot: Snapshot
    applied: int
    sending: _Sending | None
    heard: int


async def settled(points: Sequence[SavePoint], blocked: asyncio.Event) -> bool:
    """Wait for everything sent before these points; False when dead letters can't be delivered for now.

    blocked: set while dead letters can't be delivered. Raises NotSent.
    """
    waits = [asyncio.create_task(point.task.settle(point.sending)) for point in points]
    if not any(point.task.holding for point in points):
        await asyncio.gather(*waits)
        return True
    ends, left = asyncio.create_task(blocked.wait()), {*waits}
    while left and not ends.done():
        await asyncio.wait({*left, ends}, return_when=asyncio.FIRST_COMPLETED)
        left = {wait for wait in waits if not wait.done()}
    for task in (ends, *left):
        task.cancel()
    await asyncio.wait({ends, *left})
    for wait in waits:
        if wait not in left:
            wait.result()
    return not left


def event_time(tasks: Iterable[PartitionTask], now: float) -> int | None:
    """Return the present event time, µs: the newest watermark plus the silence since; None if there is none.

    now: by the runner's clock. The wall clock would not do: while old files are published one by one, it
    would make the next file late. The silence is saved (`Chunk.heard`), so a restart does not change it.
    """
    timed = [task for task in tasks if task.watermark > NEVER]
    if not timed:
        return None
    silence = now - max(task.quiet for task in timed)
    return max(task.watermark for task in timed) + int(silence * SECOND)


_NEAREST: Final = "\n"


def labels_of(of: str) -> dict[str, str]:
    """Return the labels of a total: its metric takes those that it declares."""
    model, _, nearest = of.partition(_NEAREST)
    return {"code": of, "view": of, "scope": of, "model": model, "nearest": nearest}


def counted(stage: Stage) -> dict[tuple[str, str], int]:
    """Return the totals of a stage: (metric; code, instrumentor, model or view) → total."""
    counts = {(name, ""): value for name, value in stage.counters.items()}
    counts |= {("dead_letters", code): value for code, value in stage.dead_letters.items()}
    counts |= {("unread", scope): value for scope, value in stage.unread.items()}
    models = stage.unknown_models.items()
    counts |= {("unknown_models", f"{model}{_NEAREST}{nearest}"): 1 for model, nearest in models}
    cut = stage.roster.cut if stage.roster is not None else {}
    return counts | {(CUT, view): value for view, value in cut.items()}
