"""The combine stage of one source partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine import state
from llmvitals.combine.clock import Clock, Placed
from llmvitals.combine.dead_letters import letter
from llmvitals.combine.frames import Sender
from llmvitals.combine.open_panes import OpenPanes
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.reader import Batch, read, timely
from llmvitals.errors import Code
from llmvitals.record.frame import Entry
from llmvitals.record.log import Message, Record, Snapshot
from llmvitals.stage import Stage
from llmvitals.window import FOREVER, NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SLICE: Final = 512
"""Records that are worked on at once: few enough that all of their calls stay in the processor's cache."""
_COUNTERS: Final = (
    "in", "applied", "duplicate", "dead_lettered", "filtered", "late", "lost", "forgotten", "broken",
)  # fmt: skip


class Combine(Stage):
    """Reads, places, prices and adds up the calls of one source partition.

    Law: what comes out is a pure function of the log and of the promises made, whatever the batches (but for
    the floor that frames carry, which is a matter of acknowledgements).

    source: topic/partition. sources: source topic → its number of partitions. parts: the newest checkpoint,
    {} for none. beginning: the oldest offset that the log still has.
    counters: in = applied + duplicate + dead_lettered + filtered, late ⊂ applied, over the whole life of the
    partition, each offset once. lost: offsets that the log dropped before they were read. forgotten: ids
    that were dropped within the horizon, because there were more than `Plan.max_ids`. broken: how often its
    producer was found broken (see `breaker`). dead_letters: by code.
    Raises StateLost and ConfigError as `state.restore` does.
    """

    next: int
    counters: Counter[str]
    dead_letters: Counter[str]
    can_promise = True

    def __init__(
        self,
        plan: CombinePlan,
        *,
        source: str,
        sources: dict[str, int],
        parts: dict[str, bytes],
        beginning: int,
    ) -> None:
        saved = state.restore(parts, pane_us=plan.pane_us, disorder_us=plan.disorder_us, beginning=beginning)
        self.counters = Counter(dict.fromkeys(_COUNTERS, 0) | saved.counters)
        self.dead_letters = Counter(saved.letters)
        self._breaker = saved.breaker
        self.next = max(saved.offset, beginning)
        self.counters["lost"] += self.next - saved.offset
        self._plan, self._source = plan, source
        split = frozenset(view.name for view in plan.views if view.split)
        self._sender = Sender(source, sources, plan.shards, plan.pane_us, split)
        self._clock = Clock(plan.pane_us, plan.disorder_us, saved.watermark, list(saved.promises))
        self._shelf = OpenPanes(plan, saved.floor, state.ids(saved, parts))
        self._forgotten = self.counters["forgotten"]
        self._applied = max(saved.applied, beginning)
        self._given = saved.floor
        self._announced = [NEVER] * plan.shards

    def apply(self, records: Sequence[Record]) -> list[Message]:
        """Take records in; their dead letters, and the last frames of the panes that closed."""
        if records and records[0].offset < self.next:
            records = [record for record in records if record.offset >= self.next]
        out: list[Message] = []
        for start in range(0, len(records), SLICE):
            out += self._apply(records[start : start + SLICE])
        return out + self._give()

    def flush(self) -> list[Message]:
        """What changed in the open panes of eager views, and the floor to every shard if it rose."""
        out = self._give()
        if self.replaying:
            return out
        early = chain.from_iterable(pane.early() for pane in self._shelf.open())
        out += self._send(early, version=self.next)
        return out + self._heartbeats()

    def finish(self) -> list[Message]:
        """The end of a finite log: close every pane, and let nobody wait for this source any more."""
        for pane in self._shelf.open():
            pane.closed = self.next
        self._applied = min(self._applied, self.next)
        out = self._give()
        self._given = FOREVER
        self.delivered(FOREVER)
        return out + self._heartbeats()

    def mark(self) -> int:
        """The pane below which everything was given out."""
        return self._given

    def delivered(self, mark: int) -> None:
        """Seal every pane below the mark."""
        self._shelf.seal(mark)
        self.counters["forgotten"] = self._forgotten + self._shelf.seen.forgotten

    def promise(self, floor_time: int) -> None:
        """Nothing before `floor_time` (µs) comes from here, from the next offset on.

        The driver asks only when it has caught up with the log (nothing happens while a replay is under
        way), writes and commits the snapshot that follows, and only then calls `flush` or `apply`.
        """
        pane = floor_time // self._plan.pane_us
        if not self.replaying and self._clock.promise(self.next, pane):
            self._shelf.close(self._clock, None, self.next)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """A few numbers, and the ids of the sealed panes that a replay may ask for."""
        del whole
        offset, watermark = self._shelf.oldest() or (self.next, self._clock.watermark)
        self._clock.promises = self._clock.needed(offset)
        manifest = state.Manifest(
            pane_us=self._plan.pane_us,
            disorder_us=self._plan.disorder_us,
            offset=offset,
            watermark=watermark,
            floor=self._shelf.floor,
            applied=max(self._applied, self.next),
            promises=self._clock.promises,
            counters=dict(self.counters),
            letters=dict(self.dead_letters),
            breaker=self._breaker,
        )
        parts = manifest.hold(self._shelf.seen.packed)
        return Snapshot(offset, {state.PART: manifest.encode()} | parts, lasting=True)

    @property
    def watermark(self) -> int:
        """The greatest event time so far, less the allowed disorder, µs; window.NEVER when there is none.

        Promises don't move it: they are made by it.
        """
        return self._clock.watermark

    @property
    def floor(self) -> int:
        """Every pane below this one is sealed."""
        return self._shelf.floor

    @property
    def replaying(self) -> bool:
        """Whether what is read was counted before; nothing is given out meanwhile."""
        return self.next < self._applied

    def _apply(self, records: Sequence[Record]) -> list[Message]:
        offsets = np.array([record.offset for record in records], np.int64)
        stamps = np.array([record.timestamp for record in records], np.int64) * 1_000
        live = offsets >= self._applied
        batch = read(records, self._plan)
        filtered = [place for place, count in batch.filtered for _ in range(count)]
        self._count("in", live, [*batch.at, *filtered, *(place for place, _ in batch.refused)])
        self._count("filtered", live, filtered)
        placed = self._take(batch, offsets, stamps, live)
        self.next = int(offsets[-1]) + 1
        self._shelf.close(self._clock, placed, self.next)
        return self._refuse(records, batch, live) + self._broke(batch, stamps, live)

    def _take(self, batch: Batch, offsets: Ints, stamps: Ints, live: Flags) -> Placed | None:
        """Place the calls of a batch, and count what became of each."""
        found = timely(batch, stamps, self._plan)
        if found is None:
            return None
        placed = self._clock.advance(found.times, found.kafka, offsets[found.at])
        counted = found.columns.counted
        self._count("filtered", live, found.at[~counted])
        if counted.any():
            places = np.flatnonzero(counted)
            whole = len(places) == len(counted)
            put = self._shelf.put(
                found.columns if whole else found.columns.take(places),
                placed if whole else placed.take(places),
            )
            at = found.at[places]
            self._count("duplicate", live, at[put.copies])
            self._count("applied", live, at[~put.copies])
            self._count("late", live, at[put.late & ~put.copies])
        return placed

    def _refuse(self, records: Sequence[Record], batch: Batch, live: Flags) -> list[Message]:
        """The dead letters of a batch, one for each record."""
        letters: dict[int, Message] = {}
        for place, why in sorted(batch.refused, key=itemgetter(0)):
            if live[place]:
                self.counters["dead_lettered"] += 1
                self.dead_letters[why.code.value] += 1
                if place not in letters:
                    body = self._plan.dead_letter_bodies and why.code is not Code.TOO_LARGE
                    letters[place] = letter(self._source, records[place], why, body=body)
        return list(letters.values())

    def _broke(self, batch: Batch, stamps: Ints, live: Flags) -> list[Message]:
        """The alert on the producer, when it changes. What was counted before a crash is not told again."""
        if not self._plan.dead_letters or not live.any():
            return []
        first = int(live.argmax())
        codes = {place - first: why.code.value for place, why in reversed(batch.refused) if live[place]}
        fired = self._breaker.since
        out = self._breaker.take(stamps[first:], codes, self._source, self._plan.dead_letters)
        if out and self._breaker.since not in (None, fired):
            self.counters["broken"] += 1
        return out

    def _give(self) -> list[Message]:
        """The last frames of closed panes: each at the version at which it closed."""
        if self.replaying:
            return []
        out: list[Message] = []
        for closed, panes in groupby(self._shelf.done(), key=attrgetter("closed")):
            out += self._send(chain.from_iterable(pane.give() for pane in panes), version=closed)
        self._given = max(self._given, self._clock.lowest_open(self.next))
        return out

    def _send(self, entries: Iterable[Entry], *, version: int) -> list[Message]:
        sent = self._sender.frames(entries, floor=self.floor, version=version)
        for message in sent:
            self._announced[message.partition or 0] = self.floor
        return sent

    def _heartbeats(self) -> list[Message]:
        """The floor, for the shards that don't know it."""
        behind = [shard for shard, floor in enumerate(self._announced) if floor < self.floor]
        self._announced = [self.floor] * len(self._announced)
        return [self._sender.frame(shard, floor=self.floor, version=self.next) for shard in behind]

    def _count(self, name: str, live: Flags, places: Sequence[int] | Ints) -> None:
        """Count what lies in the records at these places, unless it was counted before a crash."""
        counted = int(live[places].sum()) if self.replaying and len(places) else len(places)
        self.counters[name] += counted
