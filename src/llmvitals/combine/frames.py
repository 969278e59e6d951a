"""Packs entries into frames, one or more for each shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.pane import ON_TIME, ViewEntries
from llmvitals.record.block import Block, PackedBlock, cut
from llmvitals.record.frame import AnyFrame, BlockFrame, Frame, LateEntry
from llmvitals.record.log import Message, Topic
from llmvitals.record.packed_rows import packed_details
from llmvitals.record.series import series_key, series_of, shard_of
from llmvitals.record.sizes import BYTES, split_by_size

Ints = NDArray[np.int64]

Header = tuple[str, dict[str, int], int, int, int, int, int]
"""The first fields of a frame, as it has them."""
KNOWN: Final = 200_000
"""Series whose keys and shards are remembered."""


@dataclass(frozen=True, slots=True)
class FrameBuilder:
    """Makes the frames of one source partition; see record.frame.

    split: names of split views (see View): all arms of a home go to the same shard. eager: names of eager
    views. packed: see CombinePlan.
    """

    source: str
    sources: dict[str, int]
    shards: int
    pane_us: int
    split: frozenset[str] = frozenset()
    eager: frozenset[str] = frozenset()
    packed: bool = True
    _known: dict[tuple[str, tuple[str, ...]], tuple[int, bytes]] = field(default_factory=dict)

    def frames(self, entries: Iterable[ViewEntries], *, floor: int) -> list[AnyFrame]:
        """Make frames: by version and shard the blocks, then the late entries."""
        blocks: dict[tuple[int, int], list[Block]] = {}
        late: dict[tuple[int, int], list[LateEntry]] = {}
        for version, part in self._by_version(entries):
            for shard, block, quarters in self._blocks(part):
                on_time = quarters == ON_TIME
                if not on_time.all():
                    entry = late.setdefault((version, shard), [])
                    entry += _late_entries(block.take(np.flatnonzero(~on_time)), quarters[~on_time])
                    block = block.take(np.flatnonzero(on_time))  # noqa: PLW2901 - what is left of it
                if len(block):
                    blocks.setdefault((version, shard), []).append(block)
        made: list[AnyFrame] = []
        for version, shard in sorted({*blocks, *late}):
            header = self.source, self.sources, shard, self.shards, floor, version, self.pane_us
            made += self._block_frames(header, blocks.get((version, shard), []))
            made += _late_frames(header, late.get((version, shard), []))
        return made

    def heartbeat(self, shard: int, *, floor: int, version: int) -> Frame:
        """Make a frame without entries."""
        return Frame(self.source, self.sources, shard, self.shards, floor, version, self.pane_us)

    def _by_version(self, entries: Iterable[ViewEntries]) -> Iterator[tuple[int, ViewEntries]]:
        """Entries with their version.

        In this process they come once, and one version is enough for all; except in eager views, whose rules
        read what is open pane by pane.
        """
        whole = list(entries)
        last = max((int(part.versions.max()) for part in whole), default=0)
        for part in whole:
            if self.packed or part.found.view in self.eager:
                yield from ((int(some.versions[0]), some) for some in part.by_version())
            else:
                yield last, part

    def _blocks(self, part: ViewEntries) -> Iterator[tuple[int, Block, Ints]]:
        """Shard, block, and the quarter of each of its entries."""
        view, series, rows = part.found
        known = [self._place(view, name) for name in series]
        whole = Block(view, [key for _, key in known], part.panes, rows)
        if self.shards == 1:
            yield 0, whole, part.quarters
            return
        shards = np.array([shard for shard, _ in known], np.int64)
        for shard in np.unique(shards).tolist():
            places = np.flatnonzero(shards == shard)
            yield shard, whole.take(places), part.quarters[places]

    def _place(self, view: str, series: tuple[str, ...]) -> tuple[int, bytes]:
        """The shard and the key of a series."""
        place = self._known.get((view, series))
        if place is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            home = series[:-1] if view in self.split else series
            shard = shard_of(view, home, self.shards) if self.shards > 1 else 0
            place = self._known[view, series] = shard, series_key(view, series)
        return place

    def _block_frames(self, header: Header, blocks: list[Block]) -> Iterator[BlockFrame]:
        if not self.packed:
            yield BlockFrame(*header, tuple(blocks))
            return
        blocks = [
            replace(block, rows=replace(block.rows, details=packed_details(block.rows))) for block in blocks
        ]
        for group in cut(blocks, map(_sizes, blocks), BYTES):
            yield BlockFrame(*header, tuple(PackedBlock.of(block) for block in group))


def _late_frames(header: Header, entries: list[LateEntry]) -> Iterator[Frame]:
    for group in split_by_size(entries, lambda entry: len(entry.vitals), limit=BYTES):
        yield Frame(*header, late=tuple(group))


def _late_entries(block: Block, quarters: Ints) -> Iterator[LateEntry]:
    columns = zip(block.names, block.panes.tolist(), quarters.tolist(), block.rows.vitals(), strict=True)
    for name, pane, quarter, vitals in columns:
        yield LateEntry(*series_of(name), pane, vitals.pack(), quarter)


def _sizes(block: Block) -> Ints:
    """About the bytes of each entry."""
    rows = block.rows
    used = int((rows.sums != 0).any(axis=0).sum())
    sizes: Ints = np.array([len(name) for name in block.names]) + 4 * np.diff(rows.bins.edges) + 8 * used + 64
    for row, details in rows.details.items():
        sizes[row] += len(details) if isinstance(details, bytes) else 0
    return sizes


def message(frame: AnyFrame) -> Message:
    """Make the message of a frame."""
    return Message(Topic.PARTIALS, frame.source.encode(), frame.encode(), partition=frame.shard)
