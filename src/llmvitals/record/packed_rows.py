"""Packs rows for frames and checkpoints: integers column by column in the fewest bytes."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.record.details import Details
from llmvitals.record.rows import Rows
from llmvitals.sketch.bin_rows import BinRows
from llmvitals.sketch.counters import MAXIMA, SUMS

Ints = NDArray[np.int64]

_WIDTHS: Final = (1, 2, 4, 8)
_LONG: Final = 16
"""Bytes of an integer that does not fit into 64 bits."""


class PackedMatrix(msgspec.Struct, frozen=True, array_like=True):
    """A matrix of integers. columns: number, bytes of an integer (little-endian, signed), and the integers.

    Columns of zeros are left out.
    """

    height: int
    columns: tuple[tuple[int, int, bytes], ...]

    @classmethod
    def of(cls, matrix: Ints) -> PackedMatrix:
        """Pack a matrix. Raises OverflowError for an integer of more than 128 bits."""
        if not len(matrix):
            return cls(0, ())
        bounds = zip(matrix.min(axis=0).tolist(), matrix.max(axis=0).tolist(), strict=True)
        return cls(
            len(matrix),
            tuple(
                _packed(number, matrix[:, number], max(-low - 1, high))
                for number, (low, high) in enumerate(bounds)
                if low or high
            ),
        )

    def unpack(self, width: int) -> Ints:
        """The matrix. width: its columns; those of an older version are fewer.

        Raises ValueError for other bytes than `of` makes.
        """
        if any(number >= width for number, _, _ in self.columns):
            raise ValueError("there are more sums than this version knows: update it")
        kind = object if any(size == _LONG for _, size, _ in self.columns) else np.int64
        matrix = np.zeros((self.height, width), kind)
        for number, size, data in self.columns:
            matrix[:, number] = _long(data) if size == _LONG else np.frombuffer(data, f"<i{size}")
        return matrix


def _packed(number: int, column: Ints, top: int) -> tuple[int, int, bytes]:
    for width in _WIDTHS:
        if top < 1 << 8 * width - 1:
            return number, width, column.astype(f"<i{width}").tobytes()
    longs = [int(value).to_bytes(_LONG, "little", signed=True) for value in column.tolist()]
    return number, _LONG, b"".join(longs)


def _long(data: bytes) -> list[int]:
    return [
        int.from_bytes(data[start : start + _LONG], "little", signed=True)
        for start in range(0, len(data), _LONG)
    ]


class PackedRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows.

    bins: how many each row has (uint16), their keys (uint16), and a matrix of their counts. details: of the
    rows that have any.
    """

    sums: PackedMatrix
    maxima: PackedMatrix
    bins: tuple[bytes, bytes, PackedMatrix]
    details: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def of(cls, rows: Rows) -> PackedRows:
        """Pack rows."""
        bins = rows.bins
        return cls(
            PackedMatrix.of(rows.sums),
            PackedMatrix.of(rows.maxima),
            (
                np.diff(bins.edges).astype("<u2").tobytes(),
                bins.keys.astype("<u2").tobytes(),
                PackedMatrix.of(bins.counts[:, None]),
            ),
            tuple(sorted(packed_details(rows).items())),
        )

    def unpack(self) -> Rows:
        """The rows; details stay packed. Raises ValueError for what `of` does not make."""
        lengths, keys, counts = self.bins
        edges = np.zeros(len(lengths) // 2 + 1, np.int64)
        np.cumsum(np.frombuffer(lengths, "<u2"), out=edges[1:])
        bins = BinRows(edges, np.frombuffer(keys, "<u2"), counts.unpack(1)[:, 0])
        rows = Rows(self.sums.unpack(len(SUMS)), self.maxima.unpack(len(MAXIMA)), bins, dict(self.details))
        bin_count = int(edges[-1])
        lengths_agree = len(rows.sums) == len(rows.maxima) == len(edges) - 1
        if not lengths_agree or not len(bins.keys) == len(bins.counts) == bin_count:
            raise ValueError("the columns of rows have different lengths")
        return rows


def packed_details(rows: Rows) -> dict[int, bytes]:
    """Row → its details, packed."""
    return {
        row: part if isinstance(part, bytes) else Details.unpack(part).pack()
        for row, part in rows.details.items()
    }
