"""Cells: an arm's calls by a hash of who called, so that a canary counts its evidence by cluster.

Calls of one session may go wrong together, and those of one user, who may stay in one arm. So each call falls
into one of CELLS cells by two hashes, the same in all arms, panes and partitions: its user (else its session,
else its trace) chooses PARTS neighbours, and its session (else its user, else its trace) one of these. All
cells of a series are one sparse vector of integers, as in `sketch.quantiles`: its key is column × CELLS +
cell. The columns are COLUMNS, then the bins of the sketches TIMES. Scores have a vector each: the counts by
cell, then the sums in millionths.

Law: `merge_cells` adds key by key and keeps the scores of the scores.MOST first names: exact, associative
and commutative; None (no cells) is the identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

import numpy as np

from llmvitals.sketch.quantiles import NUMBER, STRIDE, merge_sparse
from llmvitals.sketch.scores import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PARTS: Final = 4
"""The cells of a user."""
CELLS: Final = 64 * PARTS
COLUMNS: Final = (
    "calls", "toxicity_count", "priced_calls", "paid_calls", "usage_calls",
    "errors", "toxic_calls", "refused_calls", "guardrail_blocks",
    "log_cost", "log_input", "log_output",
    "user_calls", "session_calls", "user_session_calls",
)  # fmt: skip
"""The sums of a cell: those of sketch.counters.SUMS; paid_calls are the priced calls that are not free, and
user_calls, session_calls, user_session_calls those that name their user, their session, or both. The order is
a wire format."""
COLUMN: Final = {name: place for place, name in enumerate(COLUMNS)}
TIMES: Final = ("latency_ms", "ttft_ms")
"""The sketches whose bins are kept by cell: those that come first in quantiles.SKETCHES."""
FIRST_BIN: Final = 32
"""The column of the first bin; the columns between COLUMNS and this one are free for more sums."""
WIDTH: Final = FIRST_BIN + len(TIMES) * STRIDE
"""The number of columns."""
_SHIFT: Final = 24


Sparse = tuple["NDArray[np.uint32]", "NDArray[np.int64]"]
"""Keys ascending without repeats, and their sums, both of the same length."""
NO_SUMS: Final[Sparse] = (np.empty(0, np.uint32), np.empty(0, np.int64))


class Cells(NamedTuple):
    """The cells of a series. sums: a sparse vector. scores: name → a sparse vector."""

    sums: Sparse
    scores: dict[str, Sparse]


PackedCells = tuple[bytes, list[int], dict[str, tuple[bytes, list[int]]]]


def cell_of(name: str) -> int:
    """The cell of calls that have but one of user, session and trace.

    The hash is mixed, because applications may choose the arm by a hash as simple as CRC-32, too.

    >>> cell_of("user-1"), cell_of("user-2")
    (181, 148)
    """
    return (crc32(name.encode("utf-8", "replace")) * 0x9E3779B1 & 0xFFFFFFFF) >> 24


def cells_of(users: NDArray[np.int64], sessions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells of calls by those of their user alone and of their session alone."""
    return users - users % PARTS + sessions % PARTS


def merge_cells(parts: Iterable[Cells | None]) -> Cells | None:
    """Add cells; None for none."""
    present = [part for part in parts if part is not None]
    if len(present) < 2:
        return present[0] if present else None
    names = sorted({name for part in present for name in part.scores})[:MOST]
    return Cells(
        merge_sparse([part.sums for part in present if len(part.sums[0])] or [NO_SUMS]),
        {
            name: merge_sparse([part.scores[name] for part in present if name in part.scores])
            for name in names
        },
    )


def pack_cells(cells: Cells) -> PackedCells:
    """Cells as msgpack has them."""
    return (*_packed(cells.sums), {name: _packed(sums) for name, sums in cells.scores.items()})


def unpack_cells(packed: PackedCells) -> Cells:
    """Back from `pack_cells`."""
    keys, values, scores = packed
    return Cells(_unpacked((keys, values)), {name: _unpacked(sums) for name, sums in scores.items()})


def _packed(sums: Sparse) -> tuple[bytes, list[int]]:
    # Older versions have the keys of 64 cells; the part is above them.
    keys = sums[0] // PARTS | sums[0] % PARTS << _SHIFT
    return keys.astype("<u4").tobytes(), sums[1].tolist()


def _unpacked(packed: tuple[bytes, list[int]]) -> Sparse:
    keys = np.frombuffer(packed[0], "<u4")
    return (keys & (1 << _SHIFT) - 1) * PARTS + (keys >> _SHIFT), np.array(packed[1], np.int64)


if tuple(NUMBER[name] for name in TIMES) != tuple(range(len(TIMES))):
    raise AssertionError("a bin of TIMES has to be its key in sketch.quantiles")
