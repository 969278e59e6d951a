"""Stage 2: frames → points and alerts, for one shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import msgspec

from llmvitals.errors import ConfigError
from llmvitals.merge import state
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.closer import STRETCH, PaneCloser, Piece, Step, Todo
from llmvitals.merge.entries import Put, by_bucket
from llmvitals.merge.plan import MergePlan, series_key
from llmvitals.merge.roster import Roster
from llmvitals.record.baseline_command import BaselineCommand, decode
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import Frame
from llmvitals.record.log import Message, Record, Snapshot, Topic
from llmvitals.record.watermark import Watermark
from llmvitals.stage import Stage
from llmvitals.tracebacks import summary
from llmvitals.window import FOREVER, NEVER, SECOND

MARKED = 15 * SECOND
"""After so much event time there is another watermark."""


class Merge(Stage):
    """Owns the series of one shard (a partition of the partials).

    Law: what comes out is a pure function of the frames in the order of the log, and what a pane holds when
    it closes does not even depend on their order: of each source the content of the greatest version counts,
    so re-sent, stale and repeated frames change nothing. A pane closes once, when every source's floor has
    passed it; what a source says of a pane below its own floor is ignored. A source that was first heard of
    when others had gone ahead counts what it has of closed panes in the oldest pane that was open then, and
    there all calls of them in `late_calls`. Which frame announces it first does not matter.

    shard: which partition. parts: the newest of every part of its checkpoint; without a manifest it begins
    afresh. beginning: the oldest offset that the log still has.
    Raises StateLost and ConfigError as `state.read` does.

    counters: frames, entries; of the entries stale (re-sent), late (of sealed panes), unknown (of no view of
    ours), replayed (a bucket had them already) and moved (into a later pane, because theirs had closed);
    panes (of all series, that closed), points, alerts; orders, and orders_refused (of a rule or view that is
    not ours, or that can't be read).
    roster: which series have a place of their own.
    """

    next: int
    counters: Counter[str]
    roster: Roster

    def __init__(self, plan: MergePlan, *, shard: int, parts: dict[str, bytes], beginning: int) -> None:
        self.counters = Counter()
        plan = self._plan = replace(plan, shard=shard)
        self._buckets: dict[int, Bucket] = {}
        manifest = state.Manifest(state.VERSION, shard, 0, plan.buckets, plan.pane_us, beginning)
        if MANIFEST in parts:
            manifest, self._buckets = state.read(parts, plan, shard)
        until = max((bucket.applied for bucket in self._buckets.values()), default=0)
        self.roster = Roster(plan, mark=manifest.roster, parts=parts, until=until)
        self._manifest, self._checkpoints = manifest, state.Checkpoints(manifest, self.roster)
        self._settler = PaneCloser(plan, self.counters, self._buckets)
        self._sources = manifest.sources.copy()
        self.next = max(manifest.offset, beginning)
        # Event time up to which alerts are given out, acknowledged by Kafka, and said to be so.
        self._given, self._acknowledged, self._said = self.watermark, NEVER, NEVER

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take frames in; the points and alerts that they bring about.

        Raises ConfigError for a record that is no frame of this shard.
        """
        return list(chain.from_iterable(self.pieces(records)))

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        """The same, a few hundred panes of series at a time; a snapshot may be taken between two pieces.

        An offset is below `next` only when all that it brings about is done.
        """
        out: list[Message] = []
        done = self._settler.work
        for record in records:
            if record.offset < self.next:
                continue
            self.next = record.offset
            found = self._read(record)
            if isinstance(found, BaselineCommand):
                self._obey(record.offset, found)
            for piece in self._take(record.offset, found) if isinstance(found, Frame) else ():
                self._book(piece, record.offset)
                out += piece.messages
                if self._settler.work - done >= STRETCH:
                    yield out
                    out, done = [], self._settler.work
            self._checkpoints.ahead.clear()
            self.next = record.offset + 1
            self._given = self.watermark
        yield out

    def flush(self) -> list[Message]:
        """How far alerts are in Kafka, once that is MARKED further; the alerts themselves never wait."""
        shards, time = self._manifest.shards, self._acknowledged
        if not shards or time < max(0, self._said + MARKED):
            return []
        self._said = time
        mark = Watermark(shard=self._manifest.shard, shards=shards, time=time)
        return [Message(Topic.WATERMARKS, mark.key, mark.encode())]

    def mark(self) -> int:
        """Up to which event time alerts are given out."""
        return self._given

    def delivered(self, mark: int) -> None:
        """They are in Kafka: the next watermark may say so."""
        self._acknowledged = mark

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """A share of the changed buckets (whole: all), and after them the manifest, to be written last."""
        return self._checkpoints.take(self._buckets, self._plan, upto=self.next, whole=whole)

    def finish(self) -> list[Message]:
        """The end of a finite log (also when all sources have ended): close every pane and every window."""
        out = self.roster.end(self.next, FOREVER, moved=True)
        for piece in self._finish():
            self._book(piece, self.next)
            out += piece.messages
        self._checkpoints.ahead.clear()
        return out

    @property
    def watermark(self) -> int:
        """Event time, µs, up to which everything is closed; NEVER while a source has not spoken."""
        return max(NEVER, self._sources.low * self._plan.pane_us)

    @property
    def silent(self) -> int:
        """How many sources have not spoken yet: while there are any, no pane closes."""
        return self._sources.silent(self._plan.inputs)

    @property
    def series(self) -> int:
        """How many series are alive."""
        return sum(bucket.series() for bucket in self._buckets.values())

    def _read(self, record: Record) -> Frame | BaselineCommand:
        where = f"offset {record.offset} of shard {self._manifest.shard} of the partials"
        try:
            frame = decode(record.value or b"")
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{where} is no frame ({summary(error)}): only combine may write to this topic"
            ) from error
        if isinstance(frame, BaselineCommand):
            return frame
        self._manifest.shards = self._manifest.shards or frame.shards
        theirs = (frame.shard, frame.shards, frame.pane_us)
        ours = (self._manifest.shard, self._manifest.shards, self._plan.pane_us)
        if theirs != ours:
            raise ConfigError(
                f"{where} is of shard {frame.shard} of {frame.shards} with panes of {frame.pane_us} µs, "
                f"here are shard {ours[0]} of {ours[1]} and {ours[2]} µs: set the partitions of the partials "
                "and `pane` back, or start afresh with another `topic_prefix`"
            )
        return frame

    def _obey(self, offset: int, order: BaselineCommand) -> None:
        """What rules remember of a series is to be something else, once for each bucket, as with entries."""
        key = series_key(order.view, order.series)
        number = self._plan.bucket(key)
        bucket = self._buckets.setdefault(number, Bucket(offset))
        if offset < bucket.applied:
            return
        memory = bucket.watch.pop(key, {})
        wanted = self._plan.wants(order.view, order.series)
        obeyed = wanted and self._plan.watch.adopt(order.view, memory, order.rule, order.memory)
        if obeyed:
            self.counters["orders"] += 1
        else:
            self.counters["orders_refused"] += 1
        if memory:
            bucket.watch[key] = memory
        self._checkpoints.changed(number, offset)
        self._settler.rouse(number)

    def _take(self, offset: int, frame: Frame) -> Iterator[Piece]:
        """One frame, bucket by bucket, so that each of them has either all of it or nothing.

        Its entries first, because its floor says that they are the last of their panes.
        """
        self.counters["frames"] += 1
        self.counters["entries"] += len(frame.entries)
        admits = partial(self.roster.admits, offset)
        entries = by_bucket(frame, self._plan, self._sources, self.counters, admits=admits)
        low = self._sources.low
        if self._sources.take(frame, self._plan.inputs):
            self._checkpoints.moved(offset, frame)
        moved = self._sources.low > low
        if told := self.roster.end(offset, self._sources.low, moved=moved):
            yield Piece(told, [], [])
        todo = self._todo(offset, entries, self._sources.low if moved else None)
        if self._sources.low < FOREVER:
            low = self._sources.low
            yield from self._settler.settle(Step(low, low * self._plan.pane_us, moved), todo)
            return
        for _ in todo:  # the entries of all: the last pane of any of them is where the log ends
            pass
        self._sources.low = low
        yield from self._finish()

    def _finish(self) -> Iterator[Piece]:
        opened = [pane for bucket in self._buckets.values() for pane in bucket.opened]
        self._sources.low = max(self._sources.low, max(opened, default=NEVER) + 1)
        return self._settler.settle(
            Step(self._sources.low, FOREVER, True), list(self._todo(self.next, {}, FOREVER))
        )

    def _todo(self, offset: int, entries: dict[int, list[Put]], low: int | None) -> Iterator[Todo]:
        """The buckets that a frame has work for, each with its entries in it when its turn comes.

        low: the floor rose to it, so that there may be work for all that don't sleep; None where it did not.
        Those that are ahead have it behind them.
        """
        awake = () if low is None else (n for n in self._buckets if not self._settler.sleeps(n, low))
        for number in sorted({*awake, *entries}):
            bucket, puts = self._buckets.get(number), entries.get(number, ())
            if bucket is None:
                bucket = self._buckets[number] = Bucket(offset)
            if offset < bucket.applied:
                self.counters["replayed"] += len(puts)
                continue
            news = [put for put in puts if bucket.put(put.pane, put.key, put.slot, put.content)]
            self.counters["stale"] += len(puts) - len(news)
            self.counters["moved"] += sum(put.moved for put in news)
            if news:
                self._checkpoints.changed(number, offset)
                self._settler.rouse(number)
            asked = {put.key: True for put in news if put.eager}
            if low is not None or asked:
                yield Todo(number, bucket, asked)

    def _book(self, piece: Piece, offset: int) -> None:
        """For checkpoints: which buckets have the frame at this offset behind them."""
        for number in piece.changed:
            self._checkpoints.changed(number, offset)
        self._checkpoints.ahead.update(piece.done)
        self._checkpoints.torn = piece.torn
