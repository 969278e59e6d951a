"""A Bloom filter: most ids were never seen, and this says so without a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.packed import Keys

_EACH: Final = 48
"""Bits for each key when the filter is filled, at least."""
_FULL: Final = 32
"""Bits for each key when it is full: one of 5,000 strange keys passes."""
_SMALLEST: Final = 1 << 16


class Sieve:
    """Of keys that were put in it always says "maybe", of others hardly ever.

    Law: it decides only what is looked for, never what is found; so it need not be in a checkpoint, and keys
    that were forgotten may stay in it until it is filled again.
    """

    def __init__(self) -> None:
        self.fill([])

    def fill(self, parts: Sequence[Keys]) -> None:
        """Begin anew with these keys."""
        count = sum(map(len, parts))
        bits = max(_SMALLEST, 1 << (count * _EACH - 1).bit_length()) if count else _SMALLEST
        self._words = np.zeros(bits >> 3, np.uint8)
        self._mask = np.uint32(bits - 1)
        self._room = bits // _FULL
        for part in parts:
            self.add(part)

    def add(self, keys: Keys) -> bool:
        """Put keys in; False when it is full, and has to be filled again."""
        self._room -= len(keys)
        if self._room < 0:
            return False
        for at in self._places(keys):
            np.bitwise_or.at(self._words, at >> 3, np.uint8(1) << (at & 7).astype(np.uint8))
        return True

    def maybe(self, keys: Keys) -> NDArray[np.int64]:
        """The places of the keys that may have been put in."""
        found = np.ones(len(keys), np.bool_)
        for at in self._places(keys):
            found &= (self._words[at >> 3] >> (at & 7).astype(np.uint8)) & 1 > 0
        return np.flatnonzero(found)

    def _places(self, keys: Keys) -> NDArray[np.uint32]:
        """Four for each key (4 × n): its digest is as good as four hashes."""
        places: NDArray[np.uint32] = keys.view("<u4").reshape(-1, 4).T & self._mask
        return places
