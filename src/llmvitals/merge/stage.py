"""Stage 2: frames → points and alerts, for one shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from llmvitals.errors import ConfigError
from llmvitals.merge import state
from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import Plan, series_key
from llmvitals.merge.settle import Settler, Step
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import Entry, Frame
from llmvitals.record.log import Message, Record, Snapshot
from llmvitals.window import FOREVER, NEVER


class Merge:
    """Owns the series of one shard (a partition of the partials).

    Law: what comes out is a pure function of the frames in the order of the log, and what a pane holds when
    it closes does not even depend on their order: of each source the content of the greatest version counts,
    so re-sent, stale and repeated frames change nothing. A pane closes once, when every source's floor has
    passed it; what a source says of a pane below its own floor is ignored. A source that was first heard of
    when others had gone ahead counts what it has of closed panes in the oldest pane that was open then.

    shard: which partition. parts: the newest of every part of its checkpoint; without a manifest it begins
    afresh. beginning: the oldest offset that the log still has.
    Raises StateLost and ConfigError as `state.read` does.

    counters: frames, entries; of the entries stale (re-sent), late (of sealed panes), unknown (of no view of
    ours) and replayed (a bucket had them already); panes (of all series, that closed), points, alerts.
    """

    next: int

    def __init__(self, plan: Plan, *, shard: int, parts: dict[str, bytes], beginning: int) -> None:
        self.counters: Counter[str] = Counter()
        self._plan = plan
        self._buckets: dict[int, Bucket] = {}
        manifest = state.Manifest(state.VERSION, shard, 0, plan.buckets, plan.pane_us, beginning)
        if MANIFEST in parts:
            manifest, self._buckets = state.read(parts, plan, shard)
        self._manifest, self._checkpoints = manifest, state.Checkpoints(manifest)
        self._settler = Settler(plan, self.counters, self._buckets)
        self._sources = manifest.sources.copy()
        self.next = max(manifest.offset, beginning)

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take frames in; the points and alerts that they bring about.

        Raises ConfigError for a record that is no frame of this shard.
        """
        out: list[Message] = []
        for record in records:
            if record.offset >= self.next:
                out += self._take(record.offset, self._frame(record))
                self.next = record.offset + 1
        return out

    def flush(self) -> list[Message]:
        """Nothing: what there is to say is said at once."""
        return []

    def mark(self) -> int:
        """Nothing waits for an acknowledgement."""
        return 0

    def delivered(self, mark: int) -> None:
        """See `mark`."""

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """A share of the changed buckets (whole: all), and after them the manifest, to be written last."""
        return self._checkpoints.take(self._buckets, self._plan, upto=self.next, whole=whole)

    def finish(self) -> list[Message]:
        """The end of a finite log (also when all sources have ended): close every pane and every window."""
        opened = [pane for bucket in self._buckets.values() for pane in bucket.opened]
        self._sources.low = max(self._sources.low, max(opened, default=NEVER) + 1)
        return self._settle(Step(self.next, self._sources.low, FOREVER, {}, True))

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

    def _frame(self, record: Record) -> Frame:
        where = f"offset {record.offset} of shard {self._manifest.shard} of the partials"
        try:
            frame = Frame.decode(record.value or b"")
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{where} is no frame ({error}): only combine may write to this topic"
            ) from error
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

    def _take(self, offset: int, frame: Frame) -> list[Message]:
        """One frame: its entries first, because its floor says that they are the last of their panes."""
        self.counters["frames"] += 1
        self.counters["entries"] += len(frame.entries)
        opened: dict[int, dict[bytes, None]] = {}
        for entry in frame.entries:
            fate, number, key = self._put(offset, frame, entry)
            if fate:
                self.counters[fate] += 1
                continue
            self._checkpoints.changed(number, offset)
            if self._plan.eager(entry.view):
                opened.setdefault(number, {})[key] = None
        low = self._sources.low
        if self._sources.take(frame, self._plan.inputs):
            self._checkpoints.moved(offset, frame)
        moved = self._sources.low > low
        if not moved and not opened:
            return []
        if self._sources.low >= FOREVER:
            self._sources.low = low
            return self.finish()
        low = self._sources.low
        return self._settle(Step(offset, low, low * self._plan.pane_us, opened, moved))

    def _put(self, offset: int, frame: Frame, entry: Entry) -> tuple[str, int, bytes]:
        """Keep an entry where it belongs: its bucket and series, and before them why not, if not."""
        if not self._plan.wants(entry.view, entry.series):
            return "unknown", 0, b""
        pane, slot = entry.pane, frame.source
        sealed, joined = self._sources.of(slot)
        if pane < joined:
            pane, slot = joined, f"{slot}@{pane}"
        # Below the source's own floor all is said, even while other sources hold the pane open.
        if entry.pane < sealed or pane < self._sources.low:
            return "late", 0, b""
        key = series_key(entry.view, entry.series)
        number = self._plan.bucket(key)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket(offset)
        if offset < bucket.applied:
            return "replayed", number, key
        new = bucket.put(pane, key, slot, (frame.version, entry.vitals))
        return "" if new else "stale", number, key

    def _settle(self, step: Step) -> list[Message]:
        """Close what the floor has passed, and ask the rules; buckets that are ahead have it behind them."""
        numbers = sorted(self._buckets if step.moved else step.opened)
        buckets = {number: self._buckets[number] for number in numbers}
        awake = {number: bucket for number, bucket in buckets.items() if step.offset >= bucket.applied}
        out, changed = self._settler.settle(awake, step)
        for number in changed:
            self._checkpoints.changed(number, step.offset)
        return out
