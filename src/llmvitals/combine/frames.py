"""Packs entries into frames, one or more for each shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.pane import ON_TIME, ViewEntries
from llmvitals.record.block import Block, PackedBlock, cut
from llmvitals.record.frame import AnyFrame, BlockFrame, Frame, LateEntry
from llmvitals.record.log import Message, Topic
from llmvitals.record.packed_rows import packed_details
from llmvitals.record.series import series_of
from llmvitals.record.sizes import BYTES, split_by_size

Ints = NDArray[np.int64]

Header = tuple[str, dict[str, int], int, int, int, int, int]
"""The first fields of a frame, as it has them."""


@dataclass(frozen=True, slots=True)
class FrameBuilder:
    """Makes the frames of one source partition; see record.frame.

    shards: partitions of the partials topic. pane_us: µs. packed: see CombinePlan.
    """

    source: str
    sources: dict[str, int]
    shards: int
    pane_us: int
    packed: bool = True

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
            if self.packed or part.found.names.view.eager:
                yield from ((int(some.versions[0]), some) for some in part.by_version())
            else:
                yield last, part

    def _blocks(self, part: ViewEntries) -> Iterator[tuple[int, Block, Ints]]:
        """Shard, block, and the quarter of each of its entries."""
        series, codes, rows = part.found
        if self.shards == 1:
            yield 0, Block(part.found.view, series.keys(codes), part.panes, rows), part.quarters
            return
        shards = series.shards(codes)
        for shard in np.unique(shards).tolist():
            places = np.flatnonzero(shards == shard)
            names = series.keys(codes[places])
            yield (
                shard,
                Block(part.found.view, names, part.panes[places], rows.take(places)),
                part.quarters[places],
            )

    def _block_frames(self, header: Header, blocks: list[Block]) -> Iterator[BlockFrame]:
        if not self.packed:
            yield BlockFrame(*header, tuple(blocks))
            return
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
    names = np.fromiter(map(len, block.names), np.int64, len(block))
    sizes: Ints = names + 4 * np.diff(rows.bins.edges) + 8 * used + 64
    details = packed_details(rows)
    places = np.fromiter(details, np.int64, len(details))
    sizes[places] += np.fromiter(map(len, details.values()), np.int64, len(details))
    return sizes


def message(frame: AnyFrame) -> Message:
    """Make the message of a frame."""
    return Message(Topic.PARTIALS, frame.source.encode(), frame.encode(), partition=frame.shard)
