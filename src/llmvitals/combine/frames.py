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
from llmvitals.record.series import series_key, shard_of

Ints = NDArray[np.int64]

LIMIT: Final = 700_000
"""Bytes of entries in a frame, so that the whole record stays below Kafka's default limit of 1 MB."""
KNOWN: Final = 200_000
"""Series whose keys and shards are remembered."""


@dataclass(frozen=True, slots=True)
class FrameBuilder:
    """Makes the frames of one source partition; see record.frame.

    split: names of split views (see View): all arms of a home go to the same shard. packed: see CombinePlan.
    """

    source: str
    sources: dict[str, int]
    shards: int
    pane_us: int
    split: frozenset[str] = frozenset()
    packed: bool = True
    _known: dict[tuple[str, tuple[str, ...]], tuple[int, bytes]] = field(default_factory=dict)

    def frames(self, entries: Iterable[ViewEntries], *, floor: int) -> list[AnyFrame]:
        """Make frames: of each shard its blocks, then its late entries by version."""
        blocks: dict[int, list[Block]] = {}
        late: dict[tuple[int, int], list[LateEntry]] = {}
        for part in entries:
            on_time = part.quarters == ON_TIME
            for shard, block, places in self._blocks(part):
                if on_time.all():
                    blocks.setdefault(shard, []).append(block)
                    continue
                if on_time[places].any():
                    blocks.setdefault(shard, []).append(block.take(np.flatnonzero(on_time[places])))
                for version, entry in _late_entries(part, places[~on_time[places]]):
                    late.setdefault((shard, version), []).append(entry)
        made: list[AnyFrame] = []
        for shard in sorted(blocks):
            made += self._block_frames(shard, blocks[shard], floor)
        for (shard, version), found in sorted(late.items()):
            made += self._late_frames(shard, found, floor=floor, version=version)
        return made

    def heartbeat(self, shard: int, *, floor: int, version: int) -> Frame:
        """Make a frame without entries."""
        return Frame(self.source, self.sources, shard, self.shards, floor, version, self.pane_us)

    def _blocks(self, part: ViewEntries) -> Iterator[tuple[int, Block, Ints]]:
        """A block for each shard, and its entries' places in the part."""
        view, series, rows = part.found
        known = [self._place(view, name) for name in series]
        whole = Block(view, [key for _, key in known], part.panes, part.versions, rows)
        shards = np.array([shard for shard, _ in known], np.int64)
        for shard in np.unique(shards).tolist():
            places = np.flatnonzero(shards == shard)
            yield shard, whole if len(places) == len(whole) else whole.take(places), places

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

    def _block_frames(self, shard: int, blocks: list[Block], floor: int) -> Iterator[BlockFrame]:
        header = self.source, self.sources, shard, self.shards, floor, self.pane_us
        if not self.packed:
            yield BlockFrame(*header, tuple(blocks))
            return
        blocks = [
            replace(block, rows=replace(block.rows, details=packed_details(block.rows))) for block in blocks
        ]
        for group in cut(blocks, map(_sizes, blocks), LIMIT):
            yield BlockFrame(*header, tuple(PackedBlock.of(block) for block in group))

    def _late_frames(
        self, shard: int, entries: list[LateEntry], *, floor: int, version: int
    ) -> Iterator[Frame]:
        header = self.source, self.sources, shard, self.shards, floor, version, self.pane_us
        start = size = 0
        for place, entry in enumerate(entries):
            added = len(entry.vitals) if isinstance(entry.vitals, bytes) else 0
            if size and size + added > LIMIT:
                yield Frame(*header, late=tuple(entries[start:place]))
                start, size = place, 0
            size += added
        yield Frame(*header, late=tuple(entries[start:]))


def _late_entries(part: ViewEntries, places: Ints) -> Iterator[tuple[int, LateEntry]]:
    """Late entries and their versions."""
    view, series, rows = part.found
    for place, vitals in zip(places.tolist(), rows.take(places).vitals(), strict=True):
        pane, quarter = int(part.panes[place]), int(part.quarters[place])
        yield int(part.versions[place]), LateEntry(view, series[place], pane, vitals.pack(), quarter)


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
