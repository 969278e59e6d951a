"""Stage 2: frames → points and alerts, for one shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from llmvitals.errors import ConfigError
from llmvitals.merge import state
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.closer import STRETCH, BucketWork, Floor, PaneCloser
from llmvitals.merge.entries import BucketEntries, Placement
from llmvitals.merge.parts import Part
from llmvitals.merge.plan import MergePlan
from llmvitals.merge.roster import Roster
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import AnyFrame, BaselineCommand, BlockFrame, decode
from llmvitals.record.log import Message, Record, Snapshot, Topic
from llmvitals.record.series import series_key
from llmvitals.record.watermark import Watermark
from llmvitals.stage import Stage
from llmvitals.tracebacks import summary
from llmvitals.window import FOREVER, NEVER, SECOND

MARKED = 15 * SECOND
"""Event time between two watermarks on the topic."""


class Merge(Stage):
    """Owns the series of one shard (a partition of the partials topic).

    Law: the output is a pure function of the frames in the order of the log. The content of a pane does not
    even depend on their order: for each source the greatest version counts, so stale and repeated frames
    change nothing. A pane closes once, when the floors of all sources have passed it; entries below their
    source's own floor are ignored. If a source appears late, its entries of closed panes are counted in the
    oldest open pane, and all of their calls are late ones. It does not matter which frame announces the
    source first.

    shard: the partition. parts: the newest version of each part of its checkpoint; without a manifest it
    starts afresh. beginning: the oldest offset that the log still has. Raises StateLost and ConfigError as
    `state.read` does.

    counters: frames, entries; entries that were stale (sent again), late (of sealed panes), unknown (of no
    view of the plan), replayed (the bucket had applied them) and moved (to a later pane, because theirs had
    closed); panes (closed, of all series), points, alerts; orders (baseline commands that were applied) and
    orders_refused (of an unknown rule or view, or not readable). roster: the series that are counted under
    their own names.
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
            plan = self._plan = replace(plan, buckets=manifest.bucket_count)
        # The frame after those that a bucket has applied may have been begun, and decided, by then.
        until = max((bucket.applied + 1 for bucket in self._buckets.values()), default=0)
        self.roster = Roster(plan, saved=manifest.roster, parts=parts, until=until)
        self._manifest, self._checkpoints = manifest, state.Checkpoints(manifest, self.roster)
        self._placement = Placement(plan, self.counters, self.roster)
        self._closer = PaneCloser(plan, self.counters, self._buckets, self.roster.live)
        self._sources, self._sent = manifest.sources.copy(), manifest.sent
        self.next = max(manifest.offset, beginning)
        # Event time up to which alerts are emitted, acknowledged by Kafka, and announced as a watermark.
        self._emitted, self._acknowledged, self._announced = self.watermark, NEVER, NEVER

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Apply frames, and return the points and alerts that result.

        Raises ConfigError for a record that is no frame of this shard.
        """
        return list(chain.from_iterable(self.pieces(records)))

    def pieces(self, records: Sequence[Record]) -> Iterator[list[Message]]:
        """Apply frames in pieces of about STRETCH rows, series and points.

        A snapshot may be taken between two pieces. `next` passes an offset only when all of its work is done.
        """
        out: list[Message] = []
        done = self._closer.work
        for record in records:
            if record.offset < self.next:
                continue
            self.next = record.offset
            content = self._read(record)
            if isinstance(content, BaselineCommand):
                self._apply_command(record.offset, content)
            frames = () if isinstance(content, BaselineCommand) else (content,)
            for part in chain.from_iterable(self._take(record.offset, frame) for frame in frames):
                self._note_progress(part, record.offset)
                out += part.messages(self._plan.shard)
                if self._closer.work - done >= STRETCH:
                    yield out
                    out, done = [], self._closer.work
            self._checkpoints.ahead.clear()
            self.next = record.offset + 1
            self._emitted = self.watermark
        yield out

    def apply_frames(self, frames: Iterable[AnyFrame]) -> list[Message]:
        """Do the same as `apply` with frames that were made in this process."""
        out: list[Message] = []
        for frame in frames:
            self._manifest.shards = frame.shards
            for part in self._take(self.next, frame):
                self._note_progress(part, self.next)
                out += part.messages(self._plan.shard)
            self._checkpoints.ahead.clear()
            self.next += 1
            self._emitted = self.watermark
        return out

    def flush(self) -> list[Message]:
        """Announce up to which event time alerts are in Kafka, if it rose by MARKED.

        Alerts never wait for this.
        """
        self._closer.held_panes.absorb_some(self._buckets.values())
        shards, time = self._manifest.shards, self._acknowledged
        if not shards or time < max(0, self._announced + MARKED):
            return []
        self._announced = time
        mark = Watermark(shard=self._manifest.shard, shards=shards, time=time)
        return [Message(Topic.WATERMARKS, mark.key, mark.encode())]

    def mark(self) -> int:
        """Event time up to which alerts are emitted."""
        return self._emitted

    def delivered(self, mark: int) -> None:
        """Note that Kafka has acknowledged the alerts up to this mark."""
        self._acknowledged = mark

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Make a snapshot of some changed buckets (whole: of all); its manifest has to be written last."""
        for number in self._checkpoints.due(self._plan, whole=whole):
            self._closer.held_panes.absorb(self._buckets[number])
        return self._checkpoints.take(self._buckets, self._plan, upto=self.next, whole=whole)

    def finish(self) -> list[Message]:
        """End a finite log, or one whose sources have all ended: close every pane and every window."""
        out: list[Message] = []
        cardinality = Part([*self.roster.end_frame(self.next, FOREVER, rose=True)])
        for part in (cardinality, *self._finish(last=True)):
            self._note_progress(part, self.next)
            out += part.messages(self._plan.shard)
        self._checkpoints.ahead.clear()
        return out

    @property
    def watermark(self) -> int:
        """Event time, µs, up to which everything is closed; NEVER while a source has sent no frame."""
        return max(NEVER, self._sources.low * self._plan.pane_us)

    @property
    def silent(self) -> int:
        """How many sources have sent no frame yet. While there are any, no pane closes."""
        return self._sources.silent(self._plan.inputs)

    @property
    def series(self) -> int:
        """How many series there are."""
        return sum(bucket.series() for bucket in self._buckets.values())

    def _read(self, record: Record) -> AnyFrame | BaselineCommand:
        where = f"offset {record.offset} of shard {self._manifest.shard} of the partials"
        try:
            frame = decode(record.value or b"")
            if isinstance(frame, BlockFrame):
                frame = frame.unpack()
        except ValueError as error:
            raise ConfigError(
                f"{where} is no frame ({summary(error)}): only combine may write to this topic, "
                "and where it is newer than merge, update merge"
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

    def _apply_command(self, offset: int, command: BaselineCommand) -> None:
        """Apply a baseline command to the rule state of a series, once, as with entries."""
        key = series_key(command.view, command.series)
        number = self._plan.bucket(key)
        bucket = self._buckets.setdefault(number, Bucket(offset))
        if offset < bucket.applied:
            return
        self._closer.held_panes.absorb(bucket, [key])
        rule_state = bucket.rule_states.pop(key, {})
        wanted = self._plan.wants(command.view, command.series)
        applied = wanted and self._plan.engine.adopt(command.view, rule_state, command.rule, command.memory)
        self.counters["orders"] += applied
        self.counters["orders_refused"] += not applied
        if rule_state:
            bucket.rule_states[key] = rule_state
            bucket.rules_due = NEVER  # it may have become due at once
        self._closer.open_panes.evaluated(key, rule_state)
        self._checkpoints.changed(number, offset)
        self._closer.mark_changed(number)

    def _take(self, offset: int, frame: AnyFrame) -> Iterator[Part]:
        """Apply a frame, bucket by bucket: each bucket applies all of it or nothing.

        Entries come before the floor, because the floor closes their panes.
        """
        self.counters["frames"] += 1
        entries = self._placement.by_bucket(offset, frame, self._sources)
        low = self._sources.low
        if self._sources.take(frame, self._plan.inputs):
            self._checkpoints.sources_changed(offset, frame)
        rose = self._sources.low > low
        if cardinality_points := self.roster.end_frame(offset, self._sources.low, rose=rose):
            yield Part(cardinality_points)
        work_of_buckets = self._work(offset, frame.source, entries, low=self._sources.low if rose else None)
        if (now := self._sources.low) < FOREVER:
            floor = Floor(now, now * self._plan.pane_us, rose, replayed=offset < self._sent)
            yield from self._closer.close_panes(floor, work_of_buckets)
            return
        # All entries have to be applied before the last pane is known, and with it the end of the log.
        for _ in work_of_buckets:
            pass
        self._sources.low = low
        yield from self._finish()

    def _finish(self, *, last: bool = False) -> Iterator[Part]:
        highest = max((bucket.highest for bucket in self._buckets.values()), default=NEVER)
        self._sources.low = max(self._sources.low, highest + 1)
        self.roster.end_frame(self.next, self._sources.low, rose=True)
        work = list(self._work(self.next, "", {}, low=FOREVER))
        return self._closer.close_panes(Floor(self._sources.low, FOREVER, True, last), work)

    def _work(
        self, offset: int, source: str, entries: Mapping[int, BucketEntries], *, low: int | None
    ) -> Iterator[BucketWork]:
        """Yield the buckets that have work with a frame, each after its entries are applied.

        low: the floor if it rose, so that every bucket with something due has work; else None. Buckets whose
        `applied` is past this offset already contain the frame.
        """
        due = () if low is None else (n for n in self._buckets if not self._closer.has_nothing_due(n, low))
        for number in sorted({*due, *entries}):
            bucket, found = self._buckets.get(number), entries.get(number)
            if bucket is None:
                bucket = self._buckets[number] = Bucket(offset)
            if offset < bucket.applied:
                self.counters["replayed"] += len(found or ())
                continue
            grown = self._put(bucket, source, found) if found is not None else {}
            if found is not None:
                self._checkpoints.changed(number, offset)
                self._closer.mark_changed(number)
                self._closer.work += len(found)
            if low is not None or grown:
                yield BucketWork(number, bucket, grown)

    def _put(self, bucket: Bucket, source: str, entries: BucketEntries) -> dict[bytes, None]:
        """Apply entries to a bucket, and return the series of eager views that grew."""
        grown: dict[bytes, None] = {}
        for part in entries.rows:
            kept = part
            if part.eager:
                newer = self._closer.open_panes.put(source, part)
                self.counters["stale"] += len(part.names) - len(newer)
                kept = part if len(newer) == len(part.names) else part.take(np.array(newer, np.int64))
                grown |= dict.fromkeys(kept.names)
            if len(kept.names):
                bucket.put_rows(source, kept)
        news = [e for e in entries.apart if bucket.put(e.pane, e.key, e.slot, e.content)]
        self.counters["stale"] += len(entries.apart) - len(news)
        self.counters["moved"] += sum(entry.moved for entry in news)
        for entry in (entry for entry in news if entry.eager):
            self._closer.put_apart(bucket, entry.key)
            grown[entry.key] = None
        return grown

    def _note_progress(self, part: Part, offset: int) -> None:
        """Tell the checkpoints which buckets have applied the frame at this offset."""
        for number in part.changed:
            self._checkpoints.changed(number, offset)
        self._checkpoints.ahead.update(part.done)
        self._checkpoints.unfinished = part.unfinished
