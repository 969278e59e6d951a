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

    names: the keys of the series (record.series). panes, versions: of each; a version is the source offset up
    to which the entry is counted.
    """

    view: str
    names: Sequence[bytes]
    panes: Ints
    versions: Ints
    rows: Rows

    def __len__(self) -> int:
        return len(self.names)

    def take(self, places: Ints) -> Block:
        """Some entries, in this order."""
        return Block(
            self.view,
            [self.names[place] for place in places.tolist()],
            self.panes[places],
            self.versions[places],
            self.rows.take(places),
        )

    def by_pane(self) -> Iterator[tuple[int, Block]]:
        """Each pane and its entries, ascending."""
        for pane in np.unique(self.panes).tolist():
            yield pane, self.take(np.flatnonzero(self.panes == pane))

    def unpack(self) -> Block:
        """The block itself."""
        return self


class PackedBlock(msgspec.Struct, frozen=True, array_like=True):
    """A block as it lies on the topic. first: pane and version of its first entry, places: their distance."""

    view: str
    names: list[bytes]
    first: tuple[int, int]
    places: PackedMatrix
    rows: PackedRows

    @classmethod
    def of(cls, block: Block) -> PackedBlock:
        """Pack a block of at least one entry."""
        places = np.stack((block.panes, block.versions), axis=1)
        first = places[0].tolist()
        return cls(
            block.view,
            list(block.names),
            (first[0], first[1]),
            PackedMatrix.of(places - places[0]),
            PackedRows.of(block.rows),
        )

    def unpack(self) -> Block:
        """The block. Raises ValueError for what `of` does not make."""
        places, rows = self.places.unpack(2) + np.array(self.first), self.rows.unpack()
        if not len(self.names) == len(places) == len(rows):
            raise ValueError("the columns of a block have different lengths")
        return Block(self.view, self.names, places[:, 0], places[:, 1], rows)


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
            whole = start == 0 and end == len(block)
            group.append(block if whole else block.take(np.arange(start, end)))
            room, start = room - (int(ends[end - 1]) - before), end
    if group:
        yield group
