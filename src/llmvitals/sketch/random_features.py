"""Turns vectors into integers that can be added up: two images of a vector, exact on every machine.

x is the vector at length NORM, rounded; one of more than WIDEST numbers is projected first: its numbers are
put, with fixed signs, into WIDEST groups, and each group is summed (count sketch: Charikar, Chen,
Farach-Colton, "Finding frequent items in data streams", ICALP 2002). z are random Fourier features of x,
UNIT·cos and UNIT·sin of its projections on fixed directions, half of them at the bandwidth `scale` and half
at scale/2 (Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007; in pairs of cosine
and sine: Sutherland, Schneider, "On the error of random Fourier features", UAI 2015): of two vectors, the
inner product of either half is about UNIT²·FEATURES/4 times their Gaussian kernel.

Exact: a vector's numbers are made integers, relative to the greatest of them, before anything is summed;
products with the directions stay so small that floating point holds them without rounding, in whatever
order a machine adds them; cosines come from a table. What is left is arithmetic of single numbers, which
IEEE 754 defines to the last bit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NORM: Final = 2**10
"""The length of x."""
UNIT: Final = 2**10
"""What 1 is in z."""
WIDEST: Final = 512
"""Numbers in x at most."""
FEATURES: Final = 256
"""Numbers in z: at `scale`, cosine and sine of each direction, and then the same at scale/2."""
DEFAULT: Final = 1.0
"""The bandwidth, between the distances of random texts: 1.2 to 1.35 with embeddings that fill the sphere, 0.7
with those in a narrow cone. At 1 and 1/2 the kernel tells near from far with either."""

_FINE: Final = 20
"""Numbers are rounded to 2^-20 of the vector's greatest, so that the sum of 4,096 squares fits into 53
bits."""
_STEPS: Final = 4_096
_TURN: Final = 2 * np.pi * np.arange(_STEPS) / _STEPS
_TABLE: Final = np.rint(np.stack((np.cos(_TURN), np.sin(_TURN)), axis=1) * UNIT).astype(np.int32)
_PAIRS: Final = _TABLE.view(np.int64).ravel()
"""Cosine and sine in one integer, so that both are looked up at once."""
_LEAST: Final = 4
"""Bits below the table's steps in the directions, at least."""
_KEPT: Final = 512
"""Spaces in the cache, of at most a quarter of a MB each."""
_ROWS: Final = 256
"""Vectors that are processed at once: they fit into the processor's cache."""

Shorts = NDArray[np.int16]
Ints = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Images(NamedTuple):
    """The images of n vectors: x (n × d), z (n × FEATURES). usable (n): if false, both are 0."""

    x: Shorts
    z: Ints
    usable: Flags


class Space:
    """Makes images of vectors of one dimension (1 … 4,096). width: d, the numbers in x. scale: bandwidth."""

    def __init__(self, dimension: int, scale: float) -> None:
        self.dimension, self.scale, self.width = dimension, scale, min(dimension, WIDEST)
        self._folds = -(-dimension // WIDEST)
        if self._folds > 1:
            drawn = np.random.PCG64(dimension).random_raw(2 * dimension)
            self._order = np.argsort(drawn[:dimension], kind="stable")
            self._signs = 1.0 - 2.0 * (drawn[dimension:] & np.uint64(1))
        self._shift, self._directions = _quantised(self.width, scale)
        self._whole = np.int32 if self._directions.dtype == np.float32 else np.int64

    def vectors(self, vectors: NDArray[Any]) -> tuple[Shorts, Flags]:
        """Make x (n × d) of vectors (n × dimension, float32), and flag the usable ones: finite and not 0."""
        x = np.zeros((len(vectors), self.width), np.int16)
        usable = np.zeros(len(vectors), np.bool_)
        for start in range(0, len(vectors), _ROWS):
            part = slice(start, start + _ROWS)
            self._place(vectors[part], x[part], usable[part])
        return x, usable

    def features(self, x: NDArray[Any]) -> Ints:
        """Make z (n × FEATURES) of x (n × d)."""
        z = np.empty((len(x), FEATURES), np.int32)
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            phases = (x[part].astype(self._directions.dtype) @ self._directions).astype(self._whole)
            phases >>= self._shift
            phases &= _STEPS - 1
            np.take(_PAIRS, phases, out=z[part].view(np.int64), mode="clip")
        return z

    def images(self, vectors: NDArray[Any]) -> Images:
        """Make both images of vectors (n × dimension, float32)."""
        x, usable = self.vectors(vectors)
        z = self.features(x)
        z[~usable] = 0
        return Images(x, z, usable)

    def _place(self, vectors: NDArray[Any], x: Shorts, usable: Flags) -> None:
        """Fill in x and usable."""
        top = np.abs(vectors).max(axis=1).astype(np.float64)
        good = np.isfinite(top) & (top > 0)
        # A power of two: nothing is rounded by it.
        fine = np.ldexp(1.0, _FINE - np.frexp(np.where(good, top, 1.0))[1])
        rows = vectors if good.all() else np.where(good[:, None], vectors, 0)
        if self._folds > 1:
            rows = np.take(rows, self._order, axis=1, mode="clip")
        whole = rows * fine[:, None]
        np.rint(whole, out=whole)
        if self._folds > 1:
            whole = self._folded(whole)
        square = np.einsum("ij,ij->i", whole, whole)
        usable[:] = square > 0
        whole *= (NORM / np.sqrt(np.maximum(square, 1.0)))[:, None]
        np.rint(whole, out=whole)
        x[:] = whole

    def _folded(self, whole: NDArray[np.float64]) -> NDArray[np.float64]:
        spread = np.zeros((len(whole), self._folds * WIDEST))
        np.multiply(whole, self._signs, out=spread[:, : self.dimension])
        folded: NDArray[np.float64] = spread.reshape(len(whole), self._folds, WIDEST).sum(axis=1)
        return folded


def space(dimension: int, scale: float = DEFAULT) -> Space:
    """The space of a dimension. Its random parts are fixed by the dimension and the scale alone."""
    return _made(dimension, scale)


_made: Final = lru_cache(maxsize=_KEPT)(Space)


def key(model: str, dimension: int, scale: float = DEFAULT) -> str:
    """The key of a model's vectors. Vectors of different scales can't be added up, so the key has the scale.

    >>> key("ada-002", 1536), key("ada-002", 1536, 0.7)
    ('ada-002/1536', 'ada-002/1536~0.7')
    """
    return f"{model}/{dimension}" + ("" if scale == DEFAULT else f"~{scale!r}")


def of_key(name: str) -> Space:
    """The space of a key. Raises ValueError if it is no key.

    >>> of_key("ada-002/1536~0.7").scale
    0.7
    """
    dimension, _, scale = name.rpartition("/")[2].partition("~")
    return space(int(dimension), float(scale or DEFAULT))


def _directions(width: int) -> NDArray[np.float64]:
    """Directions (width × FEATURES/2) of normal numbers, each the sum of 16 that are spread evenly."""
    drawn = np.random.PCG64(width).random_raw(width * FEATURES // 2 * 4)
    even = drawn.astype("<u8").view("<u2").reshape(width, FEATURES // 2, 16).astype(np.int64)
    normal: NDArray[np.float64] = (even.sum(axis=2) - 8 * 65_535) / np.sqrt(16 * (2.0**32 - 1) / 12)
    return normal


@lru_cache(maxsize=_KEPT)
def _quantised(width: int, scale: float) -> tuple[int, NDArray[Any]]:
    """Directions as integers: in their products with x, the bits from `shift` on count the table's steps."""
    bandwidths = np.repeat((scale, scale / 2), FEATURES // 4)
    steps = _directions(width) * (_STEPS / (2 * np.pi) / NORM) / bandwidths
    longest = (NORM + np.sqrt(width) / 2) * (
        np.sqrt((steps**2).sum(axis=0).max()) + np.sqrt(width) / 2**_LEAST
    )
    # |Σ xᵢwᵢ| ≤ |x|·|w|, of any part of the sum as well (Cauchy-Schwarz): below 2²⁴ float32 is exact.
    shift = int(np.floor(24 - np.log2(longest)))
    kind: Any = np.float32
    if shift < _LEAST:
        kind, shift = np.float64, min(int(np.floor(53 - np.log2(longest))), 24)
    return shift, np.rint(steps * 2.0**shift).astype(kind)
