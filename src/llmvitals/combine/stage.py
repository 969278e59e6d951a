"""The combine stage of one source partition: wires the parts of stage 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine import state
from llmvitals.combine.clock import Clock, Placed
from llmvitals.combine.codes import clean
from llmvitals.combine.dead_letters import dead_letter
from llmvitals.combine.frames import FrameBuilder, message
from llmvitals.combine.interner import Interners
from llmvitals.combine.open_panes import OpenPanes
from llmvitals.combine.pane import ViewEntries, emit
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.reader import Batch, read, timely
from llmvitals.errors import Code
from llmvitals.record.chunk import MANIFEST
from llmvitals.record.frame import AnyFrame
from llmvitals.record.log import Message, Record, Snapshot, Topic
from llmvitals.record.view import OTHER
from llmvitals.stage import Stage
from llmvitals.window import FOREVER, NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SLICE: Final = 1_200
"""Records that are processed at once, half of a fetch: a slice costs as much as 100 calls by itself, and the
calls of a larger one do not fit into the processor's cache."""
_COUNTERS: Final = (
    "in", "applied", "duplicate", "dead_lettered", "filtered", "late", "lost", "forgotten", "broken",
)  # fmt: skip
_MOST_SCOPES: Final = 100


class Combine(Stage):
    """Reads, prices and adds up the calls of one source partition.

    Law: the output is a pure function of the log and of the promises, whatever the batches. Only the floor in
    the frames depends on acknowledgements.

    source: topic/partition. sources: source topic → its number of partitions. parts: the newest checkpoint,
    {} for none. beginning: the oldest offset that the log still has. interners: those of the plan, which
    other partitions use too; None for its own.
    counters: in = applied + duplicate + dead_lettered + filtered, late ⊂ applied, since the partition exists,
    each offset once. lost: offsets that Kafka deleted before they were read. forgotten: ids that were dropped
    within the horizon, because there were more than `CombinePlan.max_ids`. broken: how often the alert on a
    broken producer fired (see `breaker`). dead_letters: by code. unread: instrumentor → spans
    since the start that look like calls and that no dialect knows.
    Raises StateLost and ConfigError as `state.restore` does.
    """

    next: int
    counters: Counter[str]
    dead_letters: Counter[str]
    unread: Counter[str]
    can_promise = True

    def __init__(
        self,
        plan: CombinePlan,
        *,
        source: str,
        sources: dict[str, int],
        parts: dict[str, bytes],
        beginning: int,
        interners: Interners | None = None,
    ) -> None:
        saved = state.restore(parts, pane_us=plan.pane_us, disorder_us=plan.disorder_us, beginning=beginning)
        self.counters = Counter(dict.fromkeys(_COUNTERS, 0) | saved.counters)
        self.dead_letters = Counter(saved.letters)
        self.unread = Counter()
        self._breaker = saved.breaker
        self.next = max(saved.offset, beginning)
        self.counters["lost"] += self.next - saved.offset
        self._plan, self._source = plan, source
        self._frame_builder = FrameBuilder(source, sources, plan.shards, plan.pane_us, packed=plan.packed)
        self._clock = Clock(plan.pane_us, plan.disorder_us, saved.watermark, list(saved.promises))
        self._open_panes = OpenPanes(plan, saved.floor, state.ids(saved, parts), interners)
        self._applied = max(saved.applied, beginning)
        self._emitted = saved.floor
        self._announced = [NEVER] * plan.shards
        self._frames: list[AnyFrame] = []

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Apply records, and return their dead letters and the last frames of panes that closed."""
        if records and records[0].offset < self.next:
            records = [record for record in records if record.offset >= self.next]
        out: list[Message] = []
        for start in range(0, len(records), SLICE):
            out += self._apply(records[start : start + SLICE])
        return out + self._emit()

    def flush(self) -> list[Message]:
        """Frames of changes in open panes of eager views, and the floor to every shard if it rose."""
        out = self._emit()
        if self.replaying:
            return out
        # The pane's last entries have more: their version is greater even if no call comes in between.
        version = self.next - 1
        changed = [part for pane in self._open_panes.open() for part in pane.changed_entries(version)]
        return out + self._send(changed) + self._heartbeats()

    def finish(self) -> list[Message]:
        """End a finite log.

        Close every pane, and send the floor FOREVER, so that no shard waits for this source.
        """
        for pane in self._open_panes.open():
            pane.closed = self.next
        self._applied = min(self._applied, self.next)
        out = self._emit()
        self._emitted = FOREVER
        self.delivered(FOREVER)
        return out + self._heartbeats()

    def hand_over(self) -> list[AnyFrame]:
        """Return the frames since the last call, where the plan does not pack them into messages."""
        frames, self._frames = self._frames, []
        return frames

    def mark(self) -> int:
        """The pane below which everything is emitted."""
        return self._emitted

    def delivered(self, mark: int) -> None:
        """Seal every pane below the mark."""
        self.counters["forgotten"] += self._open_panes.seal(mark)

    def promise(self, floor_time: int) -> None:
        """Promise that no call before `floor_time` (µs) is counted from the next offset on.

        Ignored during a replay. The driver calls it only at the end of the log, writes and commits the
        following snapshot, and only then calls `flush` or `apply`.
        """
        pane = floor_time // self._plan.pane_us
        if not self.replaying and self._clock.promise(self.next, pane):
            self._open_panes.close(self._clock, None, self.next)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Make a snapshot: a few numbers, and the ids of the sealed panes that a replay may need."""
        del whole
        offset, watermark = self._open_panes.oldest() or (self.next, self._clock.watermark)
        self._clock.promises = self._clock.needed(offset)
        manifest = state.Manifest(
            pane_us=self._plan.pane_us,
            disorder_us=self._plan.disorder_us,
            offset=offset,
            watermark=watermark,
            floor=self._open_panes.floor,
            applied=max(self._applied, self.next),
            promises=self._clock.promises,
            counters=dict(self.counters),
            letters=dict(self.dead_letters),
            breaker=self._breaker,
        )
        parts = manifest.hold_ids(self._open_panes.seen.sealed)
        return Snapshot(offset, {MANIFEST: manifest.encode()} | parts, lasting=True)

    @property
    def watermark(self) -> int:
        """The greatest event time so far, less the allowed disorder, µs; window.NEVER without any.

        Promises don't advance it, as they are made by it.
        """
        return self._clock.watermark

    @property
    def unknown_models(self) -> Mapping[str, str]:  # type: ignore[override] # computed when it is read
        """Models without a price → the known one with the nearest name, or ""."""
        return self._plan.unknown_models()

    @property
    def floor(self) -> int:
        """Every pane below this one is sealed."""
        return self._open_panes.floor

    @property
    def replaying(self) -> bool:
        """Whether the next record was counted before a restart; nothing is emitted meanwhile."""
        return self.next < self._applied

    def _apply(self, records: Sequence[Record]) -> list[Message]:
        offsets = np.array([record.offset for record in records], np.int64)
        stamps = np.array([record.timestamp for record in records], np.int64) * 1_000
        live = offsets >= self._applied
        batch = read(records, self._plan)
        filtered = [place for place, count in batch.filtered for _ in range(count)]
        self._count("in", live, [*batch.at, *filtered, *(place for place, _ in batch.refused)])
        self._count("filtered", live, filtered)
        for place, scope, number in batch.unread:
            if live[place]:
                self._count_unread(clean(scope), number)
        placed = self._add_calls(batch, offsets, stamps, live)
        self.next = int(offsets[-1]) + 1
        self._open_panes.close(self._clock, placed, self.next)
        return self._refuse(records, batch, live) + self._producer_alert(batch, stamps, live)

    def _count_unread(self, scope: str, number: int) -> None:
        """Count spans that nothing reads. Senders choose the names: those beyond some count as OTHER."""
        known = scope in self.unread or len(self.unread) < _MOST_SCOPES
        self.unread[scope if known else OTHER] += number

    def _add_calls(self, batch: Batch, offsets: Ints, stamps: Ints, live: Flags) -> Placed | None:
        """Add the calls of a batch to their panes, and count them."""
        calls = timely(batch, stamps, self._plan)
        if calls is None:
            return None
        placed = self._clock.advance(calls.times, calls.kafka, offsets[calls.at])
        counted = calls.columns.counted
        self._count("filtered", live, calls.at[~counted])
        if counted.any():
            places = np.flatnonzero(counted)
            whole = len(places) == len(counted)
            placement = self._open_panes.put(
                calls.columns if whole else calls.columns.take(places),
                placed if whole else placed.take(places),
            )
            at = calls.at[places]
            self._count("duplicate", live, at[placement.duplicates])
            self._count("applied", live, at[~placement.duplicates])
            self._count("late", live, at[placement.late & ~placement.duplicates])
        return placed

    def _refuse(self, records: Sequence[Record], batch: Batch, live: Flags) -> list[Message]:
        """Make the dead letters of a batch: one for each record, or for each bad item of a record."""
        letters: dict[tuple[int, int | None], Message] = {}
        for place, error in sorted(batch.refused, key=itemgetter(0)):
            if live[place]:
                self.counters["dead_lettered"] += 1
                self.dead_letters[error.code.value] += 1
                if (place, error.item) not in letters:
                    body = self._plan.dead_letter_bodies and error.code is not Code.TOO_LARGE
                    letters[place, error.item] = dead_letter(self._source, records[place], error, body=body)
        return list(letters.values())

    def _producer_alert(self, batch: Batch, stamps: Ints, live: Flags) -> list[Message]:
        """The alert on a broken producer, if it changes. Records of a replay were judged before."""
        if not self._plan.dead_letters or not live.any():
            return []
        first = int(live.argmax())
        codes = {place - first: error.code.value for place, error in reversed(batch.refused) if live[place]}
        alerts = self._breaker.take(stamps[first:], codes, self._source, self._plan.dead_letters)
        self.counters["broken"] += sum(alert.status == "firing" for alert in alerts)
        return [Message(Topic.ALERTS, alert.group.encode(), alert.encode()) for alert in alerts]

    def _emit(self) -> list[Message]:
        """Make the last frames of closed panes."""
        if self.replaying:
            return []
        out = self._send(emit(self._open_panes.closed_panes(), self._plan))
        self._emitted = max(self._emitted, self._clock.lowest_open(self.next))
        return out

    def _send(self, entries: Sequence[ViewEntries]) -> list[Message]:
        frames = self._frame_builder.frames(entries, floor=self.floor)
        for frame in frames:
            self._announced[frame.shard] = self.floor
        return self._messages(frames)

    def _heartbeats(self) -> list[Message]:
        """Send the floor to the shards that don't have it yet."""
        behind = [shard for shard, floor in enumerate(self._announced) if floor < self.floor]
        self._announced = [self.floor] * len(self._announced)
        return self._messages(
            [self._frame_builder.heartbeat(shard, floor=self.floor, version=self.next) for shard in behind]
        )

    def _messages(self, frames: Sequence[AnyFrame]) -> list[Message]:
        """The messages of frames; none where the frames are handed over."""
        if self._plan.packed:
            return [message(frame) for frame in frames]
        self._frames += frames
        return []

    def _count(self, name: str, live: Flags, places: Sequence[int] | Ints) -> None:
        """Count the things in the records at these places, unless they were counted before a restart."""
        counted = int(live[places].sum()) if self.replaying and len(places) else len(places)
        self.counters[name] += counted
