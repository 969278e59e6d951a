"""Sums of embeddings for each space of vectors, from which drift is detected.

A space is a model and its dimension, `MODEL/256`: vectors of different spaces can't be compared. Each vector
has two images of integers (see sketch.random_features): x, the vector itself at unit length, projected
where it is long, and z, random Fourier features of it. Their sums are exact in any order.

Law: counts and sums add, the sample keeps the SAMPLE least by rank, and of the spaces the MOST first in the
order of text are kept; so merging is associative and commutative with no moments as identity. A space among
the first of the whole is among the first of every part that has it, so what is kept is complete. How many
vectors there were in all, the `embedded_calls` says.
The sample is a bottom-k sketch: uniform, because ranks are hashes of ids (Cohen, Kaplan, "Summarizing data
using bottom-k sketches", PODC 2007).
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from llmvitals.sketch.random_features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SAMPLE: Final = 16
"""Vectors in the sample of a series in a pane or window."""
MOST: Final = 4
"""Spaces that a series keeps."""

_KINDS: Final = {"<i2": 16, "<i4": 32, "<i8": 64}

SOURCE: Final = 0xFFFF
"""The bits of a rank that are a hash of the call's source: its session, else its user, else its id."""

SampledVector = tuple[int, str, bytes]
"""A vector of the sample: its rank (63 bits, a hash of the id but for SOURCE), its trace id, x as
little-endian int16."""


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """The moments of one space. count: of vectors. x, z: packed sums of their images. sample: sorted by rank.

    Sums are packed as the smallest of int16, int32 and int64 that holds all of them, little-endian.
    """

    count: int
    x: bytes
    z: bytes
    sample: tuple[SampledVector, ...] = ()

    @classmethod
    def of(
        cls, count: int, x: NDArray[np.int64], z: NDArray[np.int64], sample: tuple[SampledVector, ...] = ()
    ) -> Moments:
        """Pack Σx (d) and Σz (FEATURES)."""
        top = max(int(np.abs(x).max()), int(np.abs(z).max()))
        kind = next(kind for kind, bits in _KINDS.items() if top < 1 << bits - 1)
        return cls(count, x.astype(kind).tobytes(), z.astype(kind).tobytes(), sample)

    def sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Unpack Σx (d) and Σz (FEATURES)."""
        kind = f"<i{len(self.z) // FEATURES}"
        return np.frombuffer(self.x, kind).astype(np.int64), np.frombuffer(self.z, kind).astype(np.int64)


Meaning = dict[str, Moments]
"""space → moments"""


def merge_meaning(parts: Iterable[Meaning]) -> Meaning:
    """Add moments space by space, and keep the MOST first spaces."""
    by_space: dict[str, list[Moments]] = {}
    for part in parts:
        for space, moments in part.items():
            by_space.setdefault(space, []).append(moments)
    return {space: _merged(by_space[space]) for space in sorted(by_space)[:MOST]}


def _merged(parts: Sequence[Moments]) -> Moments:
    if len(parts) == 1:
        return parts[0]
    return Moments.of(
        sum([moments.count for moments in parts]),
        _added([moments.x for moments in parts], parts),
        _added([moments.z for moments in parts], parts),
        least(vector for moments in parts for vector in moments.sample),
    )


def _added(packed: Sequence[bytes], parts: Sequence[Moments]) -> NDArray[np.int64]:
    """The sum of the packed sums of parts; those that are packed alike are read together."""
    alike: dict[int, list[bytes]] = {}
    for data, moments in zip(packed, parts, strict=True):
        alike.setdefault(len(moments.z) // FEATURES, []).append(data)
    sums = [
        np.frombuffer(b"".join(some), f"<i{width}").reshape(len(some), -1).sum(axis=0, dtype=np.int64)
        for width, some in alike.items()
    ]
    total: NDArray[np.int64] = sum(sums[1:], start=sums[0])
    return total


def least(vectors: Iterable[SampledVector]) -> tuple[SampledVector, ...]:
    """The SAMPLE vectors of the least ranks, sorted by rank."""
    return tuple(nsmallest(SAMPLE, set(vectors)))
