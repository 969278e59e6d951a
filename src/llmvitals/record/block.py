"""A block of a frame: entries of one view as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.record.packed_rows import PackedMatrix, PackedRows
from llmvitals.record.rows import Rows

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """n entries of one view: the sums of a series in a pane each, cumulative since the pane's first call.

    names: the keys of the series (record.series). panes: of each.
    """

    view: str
    names: Sequence[bytes]
    panes: Ints
    rows: Rows

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: Ints) -> Block:
        """Some entries, in this order."""
        return Block(
            self.view,
            [self.names[place] for place in places.tolist()],
            self.panes[places],
            self.rows.take(places),
        )

    def part(self, start: int, end: int) -> Block:
        """The entries from start up to end."""
        if (start, end) == (0, len(self)):
            return self
        return Block(self.view, self.names[start:end], self.panes[start:end], self.rows.part(start, end))

    def unpack(self) -> Block:
        """The block itself."""
        return self


class PackedBlock(msgspec.Struct, frozen=True, array_like=True):
    """A block as it lies on the topic. first: the pane of its first entry; panes: their distance to it."""

    view: str
    names: list[bytes]
    first: int
    panes: PackedMatrix
    rows: PackedRows

    @classmethod
    def of(cls, block: Block) -> PackedBlock:
        """Pack a block of at least one entry."""
        first = int(block.panes[0])
        panes = PackedMatrix.of((block.panes - first)[:, None])
        return cls(block.view, list(block.names), first, panes, PackedRows.of(block.rows))

    def unpack(self) -> Block:
        """The block. Raises ValueError for what `of` does not make."""
        panes, rows = self.panes.unpack(1)[:, 0] + self.first, self.rows.unpack()
        if not len(self.names) == len(panes) == len(rows):
            raise ValueError("the columns of a block have different lengths")
        return Block(self.view, self.names, panes, rows)


def cut(blocks: Iterable[Block], sizes: Iterable[Ints], limit: int) -> Iterator[list[Block]]:
    """Cut blocks into groups of at most `limit` bytes. sizes: of each block, the bytes of its entries."""
    group, room = list[Block](), limit
    for block, entries in zip(blocks, sizes, strict=True):
        ends, start = np.cumsum(entries), 0
        while start < len(block):
            before = int(ends[start - 1]) if start else 0
            end = int(np.searchsorted(ends, before + room, side="right"))
            if end <= start and group:
                yield group
                group, room = [], limit
                continue
            end = max(end, start + 1)
            group.append(block.part(start, end))
            room, start = room - (int(ends[end - 1]) - before), end
    if group:
        yield group
