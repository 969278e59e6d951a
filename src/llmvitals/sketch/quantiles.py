"""Quantile sketches on numpy: DDSketch, and a linear histogram, in one sparse vector of bins.

The key of a bin is an integer: `sketch number × STRIDE + bin`. So all sketches of a series are one sparse
vector (keys uint16 ascending, counts int64), and merging it merges them all.

Law: `merge_bins` adds counts key by key: exact, associative, commutative; no bins is the identity.
Accuracy: a quantile is off by at most ALPHA of its value, for values in 1e-3 … 1e8 of the sketch's own unit;
smaller values count as 0, larger ones as 1e8.
Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", VLDB 2019.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from llmvitals.sketch.runs import run_starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ALPHA: Final = 0.01
GAMMA: Final = (1 + ALPHA) / (1 - ALPHA)
LOWEST: Final = math.ceil(math.log(1e-3) / math.log(GAMMA))
HIGHEST: Final = math.ceil(math.log(1e8) / math.log(GAMMA))
STRIDE: Final = 1_280

SKETCHES: Final = {
    "latency_ms": 1.0,
    "ttft_ms": 1.0,
    "cost_usd_per_call": 1e-6,
    "output_tokens_per_s": 1.0,
    "input_tokens_per_call": 1.0,
    "toxicity": 0.01,
}
"""Name → how much of the name's unit one unit of the sketch is (costs are sketched in millionths)."""
NUMBER: Final = {name: number for number, name in enumerate(SKETCHES)}
_EDGES: Final = {
    name: np.array([number * STRIDE, (number + 1) * STRIDE], np.uint16) for name, number in NUMBER.items()
}
"""Sketch → its first key, and that of the next one, in the type of keys: numpy is quicker so."""
LINEAR: Final = frozenset({"toxicity"})
"""Sketches whose bins are 0, 1, … 100 hundredths instead of powers."""

Bins = tuple["NDArray[np.uint16]", "NDArray[np.int64]"]
"""A sparse vector: keys ascending without repeats, and their counts, both of the same length."""
Key = TypeVar("Key", bound=np.unsignedinteger[Any])
NO_BINS: Final[Bins] = (np.empty(0, np.uint16), np.empty(0, np.int64))


def bin_keys(sketch: str, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The key of each value's bin; values in the sketch's own unit, not NaN, 0 or more."""
    first = NUMBER[sketch] * STRIDE
    if sketch in LINEAR:
        return first + np.clip(np.rint(values), 0, 100).astype(np.int64)
    with np.errstate(divide="ignore"):
        power = np.ceil(np.log(values) / math.log(GAMMA))
    small = power < LOWEST
    bins = np.clip(power, LOWEST, HIGHEST).astype(np.int64) - (LOWEST - 1)
    bins[small] = 0
    return first + bins


def merge_bins(parts: Sequence[Bins]) -> Bins:
    """Add sparse vectors."""
    parts = [part for part in parts if len(part[0])]
    return merge_sparse(parts) if parts else NO_BINS


def merge_sparse(
    parts: Sequence[tuple[NDArray[Key], NDArray[np.int64]]],
) -> tuple[NDArray[Key], NDArray[np.int64]]:
    """Add sparse vectors, one or more, with at least one key each."""
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = run_starts(keys)
    return keys[starts], np.add.reduceat(counts, starts)


def sketch_bins(bins: Bins, sketch: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One sketch's bin numbers and counts."""
    edges = _EDGES[sketch]
    low, high = bins[0].searchsorted(edges)
    return bins[0][low:high].astype(np.int64) - int(edges[0]), bins[1][low:high]


def quantile_of(sketch: str, counts: Sequence[tuple[int, int]], q: float) -> float | None:
    """The same as `quantile`, of bins of one sketch, (number, count) in order; quicker for a few of them."""
    rank, passed = q * (sum(count for _, count in counts) - 1), 0
    for number, count in counts:
        passed += count
        if passed > rank:
            return _value(sketch, number) * SKETCHES[sketch]
    return None


def quantile(bins: Bins, sketch: str, q: float) -> float | None:
    """The value at rank q·(n − 1) (q in 0 … 1), in the unit of the sketch's name; None without values."""
    numbers, counts = sketch_bins(bins, sketch)
    if not len(numbers):
        return None
    total = np.cumsum(counts)
    number = int(numbers[np.searchsorted(total, q * (int(total[-1]) - 1), side="right")])
    return _value(sketch, number) * SKETCHES[sketch]


def read(many: Sequence[Bins], wanted: Sequence[tuple[str, float]]) -> NDArray[np.float64]:
    """Compute quantiles of many series: a row for each, a column for each (sketch, q); NaN for none."""
    edges = np.cumsum([0, *(len(keys) for keys, _ in many)])
    keys = np.concatenate([NO_BINS[0], *(keys for keys, _ in many)])
    return read_rows(edges, keys, np.concatenate([NO_BINS[1], *(counts for _, counts in many)]), wanted)


def read_rows(
    edges: NDArray[np.int64],
    keys: NDArray[np.uint16],
    counts: NDArray[np.int64],
    wanted: Sequence[tuple[str, float]],
) -> NDArray[np.float64]:
    """The same for rows of bins: each begins in keys and counts at its edge.

    Ranks are integers, so a row does not depend on the other rows.
    """
    length, sketches = len(edges) - 1, len(SKETCHES)
    if not len(keys):
        return np.full((length, len(wanted)), np.nan)
    codes = np.repeat(np.arange(length) * (sketches * STRIDE), edges[1:] - edges[:-1]) + keys
    # Where each sketch of each row begins, and the end.
    begins = np.searchsorted(codes, np.arange(length * sketches + 1) * STRIDE)
    total = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=total[1:])
    totals = total[begins]
    columns = [NUMBER[sketch] for sketch, _ in wanted]
    below = totals[:-1].reshape(length, sketches)[:, columns]
    values = totals[1:].reshape(length, sketches)[:, columns] - below
    rank = np.floor(np.array([q for _, q in wanted]) * (values - 1)).astype(np.int64)
    place = np.searchsorted(total[1:], below + rank, side="right")
    table: NDArray[np.float64] = _values()[keys[np.minimum(place, len(keys) - 1)]]
    table[values == 0] = np.nan
    return table


@cache
def _values() -> NDArray[np.float64]:
    """The value of every key, in the unit of its sketch's name."""
    return np.array(
        [_value(sketch, number) * unit for sketch, unit in SKETCHES.items() for number in range(STRIDE)]
    )


def _value(sketch: str, number: int) -> float:
    if sketch in LINEAR:
        return float(number)
    if number == 0:
        return 0.0
    return 2 * GAMMA ** (number + LOWEST - 1) / (1 + GAMMA)


def pack_counts(counts: NDArray[np.int64]) -> bytes:
    """Pack counts in 1, 2, 4 or 8 bytes each (little-endian), as the greatest of them needs."""
    greatest = int(counts.max()) if len(counts) else 0
    width = 1 if greatest < 2**8 else 2 if greatest < 2**16 else 4 if greatest < 2**32 else 8
    return counts.astype(f"<u{width}").tobytes()


def unpack_counts(data: bytes, length: int) -> NDArray[np.int64]:
    """Unpack the result of `pack_counts`. length: the number of counts."""
    width = len(data) // length if length else 1
    return np.frombuffer(data, f"<u{width}").astype(np.int64)
