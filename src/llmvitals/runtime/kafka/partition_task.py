"""One partition on its way through a stage: what is applied, sent, acknowledged and saved."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmvitals.record.chunk import MANIFEST
from llmvitals.record.log import Topic
from llmvitals.runtime.kafka.crash import passing
from llmvitals.runtime.kafka.feed import fresh
from llmvitals.runtime.kafka.producer import acknowledged
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiokafka import TopicPartition

    from llmvitals.record.log import Message, Snapshot
    from llmvitals.runtime.kafka.checkpoint import CheckpointWriter, Mark
    from llmvitals.runtime.kafka.dead_letters import DeadLetters
    from llmvitals.runtime.kafka.feed import Batch
    from llmvitals.runtime.kafka.producer import Producer
    from llmvitals.stage import Stage

OUTSTANDING: Final = 256
"""Sendings that may wait for their acknowledgement before a partition is read on."""


CUT: Final = "series_cut"
"""The metric of what is counted in `_other`, by view."""


@dataclass(slots=True)
class _Sending:
    """What was given out at once. complete: every message is handed over to the outbox.

    letters: there are dead letters in it, whose delivery may take as long as it takes.
    """

    mark: int
    letters: bool = False
    futures: list[asyncio.Future[Any]] = field(default_factory=list)
    complete: bool = False


class PartitionTask:
    """A stage and what is on its way to Kafka from it.

    Whoever touches the stage holds `lock`, but for `settle`, which only tells it what is acknowledged.
    Who takes a batch holds `reading` all the while, and `lock` only piece by piece.
    """

    def __init__(
        self,
        partition: TopicPartition,
        stage: Stage,
        ledger: CheckpointWriter,
        outbox: Producer,
        *,
        letters: DeadLetters | None = None,
    ) -> None:
        self.partition, self.stage, self.ledger = partition, stage, ledger
        self.reading, self.lock = asyncio.Lock(), asyncio.Lock()
        self.pieces = 0
        """How many pieces of work are done."""
        self.closed = False
        """Nothing is taken or given any more."""
        self.heard = 0.0
        """When the watermark last rose in this process, by the driver's clock; without one: any record."""
        self.quiet = 0.0
        """When event time last went on, by the driver's clock; it may lie before this process began."""
        self.replayed = 0
        """The offset below which records were applied by an earlier owner."""
        self.promised = 0.0
        self.counted: dict[tuple[str, str], int] = {}
        """What the meters know of what the stage has counted: (metric, code) → how many."""
        self._outbox, self._letters = outbox, letters
        self._sendings: deque[_Sending] = deque()
        self._saved: tuple[int, int, bytes] | None = None
        self._given = stage.mark()
        """The mark of the last sending."""

    async def take(self, batch: Batch) -> int:
        """Apply what is new in a batch and send what comes out, piece by piece; the number of new records.

        Between two pieces all others get their turn. Once `closed` it leaves off: the rest is for whoever
        comes next. Raises feed.Refused when records before the batch are missing.
        """
        async with self.reading:
            async with self.lock:
                records = fresh(batch, self.stage.next)
                work = self.stage.pieces(records) if records else iter(())
            while await self._piece(work):  # noqa: ASYNC110 - nothing is waited for: it is others' turn
                await asyncio.sleep(0)
            async with self.lock:
                if not self.closed:
                    self.stage.next = max(self.stage.next, batch.end)
            return len(records)

    async def _piece(self, work: Iterator[Sequence[Message]]) -> bool:
        """Do the next piece; False when there is none, or nobody who wants it any more."""
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
        if getattr(self.stage, "waits", False):
            return await asyncio.to_thread(next, work, None)
        return next(work, None)

    async def give(self, messages: Sequence[Message]) -> None:
        """Send what the stage has just given out; waits only if too much is outstanding. Hold the lock."""
        await self.reap()
        mark = self.stage.mark()
        # Without a message there can be news: a promise closes panes that nothing lies in.
        if not messages and mark == self._given:
            return
        self._given = mark
        apart = self._letters and [one for one in messages if one.topic is Topic.DEAD_LETTERS]
        sending = _Sending(mark, letters=bool(apart))
        self._sendings.append(sending)
        if self._letters and apart:
            sending.futures.append(self._letters.send(apart))
        for message in messages:
            if not apart or message.topic is not Topic.DEAD_LETTERS:
                sending.futures.append(await self._outbox.post(message))
        sending.complete = True
        # Dead letters are not waited for with the lock held: see `full`.
        while len(self._sendings) > OUTSTANDING and not self._sendings[0].letters:
            await self._oldest()

    @property
    def watermark(self) -> int:
        """The stage's, µs; window.NEVER when it has none."""
        watermark: int = getattr(self.stage, "watermark", NEVER)
        return watermark

    @property
    def labels(self) -> dict[str, str]:
        """Its partition, as metrics tell it."""
        return {"topic": self.partition.topic, "partition": str(self.partition.partition)}

    @property
    def holding(self) -> bool:
        """Whether dead letters are on their way."""
        return any(sending.letters for sending in self._sendings)

    @property
    def full(self) -> bool:
        """Whether too much is outstanding for another batch to be taken."""
        return len(self._sendings) > OUTSTANDING

    async def reap(self) -> None:
        """Tell the stage what is acknowledged by now. Raises NotSent for what never will be."""
        while self._sendings and self._sendings[0].complete:
            sending = self._sendings[0]
            if not all(future.done() for future in sending.futures):
                return
            await acknowledged(sending.futures)
            # While that was awaited, another may have told it.
            if self._sendings and self._sendings[0] is sending:
                self._sendings.popleft()
                self.stage.delivered(sending.mark)
                passing("after-delivery")

    def point(self, heard: int, *, whole: bool = False) -> SavePoint:
        """What to save, as it is now; heard: see `Chunk`. Hold the lock."""
        sending = self._sendings[-1] if self._sendings else None
        return SavePoint(self, self.stage.snapshot(whole=whole), self.stage.next, sending, heard)

    async def settle(self, last: _Sending | None) -> None:
        """Wait until everything up to `last` is acknowledged. Raises NotSent for what never will be."""
        while last is not None and last in self._sendings:
            await self._oldest()

    async def _oldest(self) -> None:
        sending = self._sendings[0]
        await acknowledged(sending.futures)
        if not sending.complete:
            raise RuntimeError("a sending was broken off: what it was part of can't be saved")
        await self.reap()

    async def write(self, point: SavePoint) -> Mark | None:
        """Write a checkpoint; None when nothing has changed since the last one."""
        snapshot = point.snapshot
        state = (snapshot.offset, point.applied, snapshot.parts[MANIFEST])
        if self._saved == state and (snapshot.lasting or len(snapshot.parts) == 1):
            return None
        mark = await self.ledger.write(snapshot, point.applied, point.heard)
        self._saved = state
        return mark


class SavePoint(NamedTuple):
    """A snapshot of a lane, the offset applied by then, the last sending before it, and when it was heard."""

    lane: PartitionTask
    snapshot: Snapshot
    applied: int
    sending: _Sending | None
    heard: int


async def settled(points: Sequence[SavePoint], blocked: asyncio.Event) -> bool:
    """Wait for what was sent before these points; False when dead letters among it will take longer.

    blocked: set while dead letters can't be delivered. Raises NotSent.
    """
    waits = [asyncio.create_task(point.lane.settle(point.sending)) for point in points]
    if not any(point.lane.holding for point in points):
        await asyncio.gather(*waits)
        return True
    ends, left = asyncio.create_task(blocked.wait()), {*waits}
    while left and not ends.done():
        await asyncio.wait({*left, ends}, return_when=asyncio.FIRST_COMPLETED)
        left = {one for one in waits if not one.done()}
    for one in (ends, *left):
        one.cancel()
    await asyncio.wait({ends, *left})
    for one in waits:
        if one not in left:
            one.result()
    return not left


def counted(stage: Stage) -> dict[tuple[str, str], int]:
    """What a stage has counted in its life: (metric, code or view) → how many."""
    letters, roster = getattr(stage, "letters", {}), getattr(stage, "roster", None)
    counts = {(name, ""): value for name, value in getattr(stage, "counters", {}).items()}
    counts |= {("dead_letters", code): value for code, value in letters.items()}
    return counts | {(CUT, view): value for view, value in (roster.cut.items() if roster else ())}
