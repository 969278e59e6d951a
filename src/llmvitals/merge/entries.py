"""Finds the bucket of each entry of a frame, and drops entries that don't count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from llmvitals.merge.bucket import slot_of
from llmvitals.merge.plan import MergePlan
from llmvitals.merge.series_table import PlacedRows
from llmvitals.merge.sources import Sources
from llmvitals.record.block import Block
from llmvitals.record.frame import AnyFrame, Entry, Frame
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_key, series_of
from llmvitals.record.view import OTHER
from llmvitals.record.vitals import Vitals
from llmvitals.sketch.runs import runs

Ints = NDArray[np.int64]

KNOWN: Final = 20_000
"""Series of split views whose homes are remembered."""


class PlacedEntry(NamedTuple):
    """The arguments of `Bucket.put` for an entry that is kept apart.

    eager: whether rules read it while its pane is open. moved: whether it is counted in a later pane than its
    own.
    """

    pane: int
    key: bytes
    slot: str
    content: tuple[int, bytes]
    eager: bool
    moved: bool


@dataclass(slots=True)
class BucketEntries:
    """The entries of a frame that fall into one bucket."""

    rows: list[PlacedRows] = field(default_factory=list)
    apart: list[PlacedEntry] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(part.names) for part in self.rows) + len(self.apart)


class Admission(Protocol):
    """Decides which names have a place: see Roster."""

    def rejected(self, offset: int, view: str, names: Sequence[bytes], panes: Sequence[int]) -> list[int]:
        """The places of entries that are counted in OTHER. panes: those that they are counted in."""


class Placement:
    """Groups the entries of frames by bucket.

    An entry of a pane that its source has not sealed, but that closed before the source was known, is counted
    in the oldest open pane. An entry without a place (see Admission) is counted in OTHER, in a slot of its
    series, so that a repeated frame counts once. OTHER of a view that is not stored is dropped, because
    nothing reads it. counters: "entries", and of these the "unknown" (of no view of the plan) and the "late"
    (of panes that their source has sealed).
    """

    def __init__(self, plan: MergePlan, counters: Counter[str], admission: Admission) -> None:
        self._plan, self._counters, self._admission = plan, counters, admission
        self._homes: dict[bytes, int] = {}

    def by_bucket(self, offset: int, frame: AnyFrame, sources: Sources) -> dict[int, BucketEntries]:
        """Bucket → its entries. sources: before this frame's floor is applied."""
        found: dict[int, BucketEntries] = {}
        limits = sources.oldest(frame.source, self._plan.inputs), sources.low
        for block in _blocks(frame):
            self._counters["entries"] += len(block)
            for number, part in self._of_block(offset, frame, block, limits):
                entries = found.setdefault(number, BucketEntries())
                if isinstance(part, PlacedRows):
                    entries.rows.append(part)
                else:
                    entries.apart.append(part)
        for late in _late(frame):
            self._counters["entries"] += 1
            kept = self._kept(series_of(late.key)[0], [late.key], np.array([late.pane]), limits[0])
            for number, part in self._apart(offset, frame.source, late, limits[1]) if len(kept) else ():
                found.setdefault(number, BucketEntries()).apart.append(part)
        return found

    def _of_block(
        self, offset: int, frame: AnyFrame, block: Block, limits: tuple[int, int]
    ) -> Iterator[tuple[int, PlacedRows | PlacedEntry]]:
        """Rows for the tables of buckets, and entries that are kept apart. limits: oldest and lowest pane."""
        oldest, low = limits
        kept = self._kept(block.view, block.names, block.panes, oldest)
        if len(kept) < len(block):
            block = block.take(kept)
        if not len(block):
            return
        panes = np.maximum(block.panes, low)
        cut = np.zeros(len(block), np.bool_)
        cut[self._admission.rejected(offset, block.view, block.names, panes.tolist())] = True
        apart = np.flatnonzero(cut | (block.panes < low))
        if len(apart):
            for place, vitals in zip(apart.tolist(), block.rows.take(apart).vitals(), strict=True):
                pane, packed = int(block.panes[place]), vitals.pack()
                single = _Single(block.names[place], pane, frame.version, packed, cut=bool(cut[place]))
                yield from self._apart(offset, frame.source, single, low)
            block = block.take(np.delete(np.arange(len(block)), apart))
        if len(block):
            yield from self._rows(frame.version, block)

    def _rows(self, version: int, block: Block) -> Iterator[tuple[int, PlacedRows]]:
        """The rows of each bucket; OTHER by itself, as its view may be eager and it is not."""
        other = self._other(block)
        eager = self._plan.eager(block.view)
        for number, part in self._by_bucket(block):
            if other not in part.names:
                yield number, _placed(version, part, eager=eager)
                continue
            is_other = np.array([name == other for name in part.names])
            if not is_other.all():
                yield number, _placed(version, part.take(np.flatnonzero(~is_other)), eager=eager)
            if self._plan.views[block.view].stored:
                yield number, _placed(version, part.take(np.flatnonzero(is_other)), eager=False)

    def _other(self, block: Block) -> bytes:
        """The key of OTHER in a view; empty if OTHER can only be an arm there, of a home like any other."""
        view, series = series_of(block.names[0])
        other = (OTHER,) * len(series)
        return series_key(view, other) if OTHER in self._plan.home(view, other)[0] else b""

    def _kept(self, view: str, names: Sequence[bytes], panes: Ints, oldest: int) -> Ints:
        """The places of the entries that count."""
        series = series_of(names[0])[1]
        if not self._plan.wants(view, self._plan.home(view, series)[0]):
            self._counters["unknown"] += len(names)
            return np.zeros(0, np.int64)
        # A source sends nothing new below its own floor, even if other sources keep the pane open.
        kept = np.flatnonzero(panes >= oldest)
        self._counters["late"] += len(names) - len(kept)
        return kept

    def _apart(self, offset: int, source: str, entry: _Single, low: int) -> Iterator[tuple[int, PlacedEntry]]:
        """The entry as it is kept apart; none if nothing reads it."""
        pane, key, cut = max(entry.pane, low), entry.key, entry.cut
        view, series = series_of(key)
        if entry.quarter is not None:
            cut = bool(self._admission.rejected(offset, view, [key], [pane]))
        own = series_key(view, (OTHER,) * len(series)) if cut else key
        is_other = cut or OTHER in self._plan.home(view, series)[0]
        if is_other and not self._plan.views[view].stored:
            return
        moved = entry.pane < low
        slot = slot_of(
            source, closed=entry.pane if moved else None, quarter=entry.quarter, cut=key if cut else b""
        )
        eager = self._plan.eager(view) and not is_other
        content = entry.version, entry.vitals
        yield self._bucket(own), PlacedEntry(pane, own, slot, content, eager, moved)

    def _by_bucket(self, block: Block) -> Iterator[tuple[int, Block]]:
        buckets = self._buckets(block)
        if (buckets == buckets[0]).all():
            yield int(buckets[0]), block
            return
        order = np.argsort(buckets, kind="stable")
        buckets, block = buckets[order], block.take(order)
        for start, end in runs(buckets):
            yield int(buckets[start]), block.part(start, end)

    def _buckets(self, block: Block) -> Ints:
        if self._plan.views[block.view].split:
            return np.array([self._bucket(name) for name in block.names], np.int64)
        return (np.array([*map(crc32, block.names)], np.int64) >> 16) % self._plan.buckets

    def _bucket(self, key: bytes) -> int:
        """The bucket of the home of a series."""
        number = self._homes.get(key)
        if number is None:
            if len(self._homes) >= KNOWN:
                self._homes.clear()
            view, series = series_of(key)
            number = self._plan.bucket(series_key(view, self._plan.home(view, series)[0]))
            self._homes[key] = number
        return number


class _Single(NamedTuple):
    """One entry. quarter: of late calls. cut: whether it is counted in OTHER."""

    key: bytes
    pane: int
    version: int
    vitals: bytes
    quarter: int | None = None
    cut: bool = False


def _placed(version: int, block: Block, *, eager: bool) -> PlacedRows:
    return PlacedRows(block.view, block.names, block.panes, version, block.rows, eager)


def _late(frame: AnyFrame) -> Iterator[_Single]:
    if not isinstance(frame, Frame):
        return
    for entry in frame.late:
        key = series_key(entry.view, entry.series)
        yield _Single(key, entry.pane, frame.version, entry.vitals, entry.quarter)


def _blocks(frame: AnyFrame) -> Iterator[Block]:
    """The blocks of a frame; the entries of an older version as blocks."""
    if not isinstance(frame, Frame):
        for block in frame.blocks:
            yield block.unpack()
        return
    by_view: dict[str, list[Entry]] = {}
    for entry in frame.entries:
        by_view.setdefault(entry.view, []).append(entry)
    for view, entries in by_view.items():
        names = [series_key(view, entry.series) for entry in entries]
        panes = np.array([entry.pane for entry in entries], np.int64)
        rows = Rows.of([Vitals.unpack(entry.vitals) for entry in entries])
        yield Block(view, names, panes, rows)
