"""The sums of embeddings of one view in one pane, all rows at once."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.embedded import Kind, Pictured, Vectors
from llmvitals.combine.names import clean
from llmvitals.sketch.moments import MOST, SAMPLE, Meaning, Moments, Seen, least
from llmvitals.sketch.random_features import FEATURES, WIDEST

Ints = NDArray[np.int64]
Whose = tuple[int, str]
"""Row and space."""

_NONE: Final = -1
_SHIFT: Final = 32
_LONG: Final = 8
"""So many vectors of one series are worth a sum of their own."""
_ALL: Final = np.iinfo(np.int64).max


class Meanings:
    """For each row the spaces that are MOST first in the order of text, as moments.merge_meaning keeps them.

    A space that gave way to others can't come back, for these only become more.
    """

    def __init__(self) -> None:
        self._rows: dict[int, list[str]] = {}
        self._kinds: dict[str, Kind] = {}
        self._piles: dict[Kind, _Pile] = {}

    def add(
        self, rows: Ints, kind: Kind, pictured: Pictured, *, names: Sequence[str], traces: Sequence[str]
    ) -> None:
        """Add vectors of calls (rows: n; below 0: not wanted; traces: n); names: of the spaces' codes."""
        vectors = pictured.vectors
        keys, inverse = np.unique(rows[vectors.places] << _SHIFT | vectors.spaces, return_inverse=True)
        codes = (keys & (1 << _SHIFT) - 1).tolist()
        said = list(zip((keys >> _SHIFT).tolist(), [names[code] for code in codes], strict=True))
        for row, name in said:
            if row >= 0:
                self._admit(kind, row, name)
        pile = self._piles.get(kind)
        if pile is not None:
            # Only now: one that was admitted may have given way to a later one.
            pile.add(np.array([pile.slot(whose) for whose in said], np.int64)[inverse], pictured, traces)

    def of(self, row: int) -> Meaning:
        """The moments of a row."""
        names = self._rows.get(row, ())
        return {name: self._piles[self._kinds[name]].moments((row, name)) for name in names}

    def _admit(self, kind: Kind, row: int, name: str) -> None:
        """Give a space a place in a row, if it is among the first."""
        names = self._rows.setdefault(row, [])
        if name in names or (len(names) == MOST and name > names[-1]):
            return
        if len(names) == MOST:
            last = names.pop()
            self._piles[self._kinds[last]].drop((row, last))
        insort(names, name)
        self._kinds[name] = kind
        if kind not in self._piles:
            self._piles[kind] = _Pile(kind)
        self._piles[kind].begin((row, name))


class _Pile:
    """The sums of vectors of one kind: x and z side by side, one line a slot."""

    def __init__(self, kind: Kind) -> None:
        self._width = min(kind[0], WIDEST)
        self._slots: dict[Whose, int] = {}
        self._free: list[int] = []
        self._sums = np.zeros((0, self._width + FEATURES), np.int64)
        self._counts = np.zeros(0, np.int64)
        self._bounds = np.zeros(0, np.int64)
        """Ranks from here on are not among the least any more."""
        self._samples: list[tuple[Seen, ...]] = []

    def slot(self, whose: Whose) -> int:
        """_NONE where there is none."""
        return self._slots.get(whose, _NONE)

    def begin(self, whose: Whose) -> None:
        slot = self._slots[whose] = self._free.pop() if self._free else len(self._samples)
        if slot == len(self._samples):
            self._samples.append(())
        if slot == len(self._counts):
            more = slot + 1
            self._sums = np.vstack((self._sums, np.zeros((more, self._sums.shape[1]), np.int64)))
            self._counts = np.hstack((self._counts, np.zeros(more, np.int64)))
            self._bounds = np.hstack((self._bounds, np.full(more, _ALL)))

    def drop(self, whose: Whose) -> None:
        slot = self._slots.pop(whose)
        self._sums[slot], self._counts[slot], self._bounds[slot] = 0, 0, _ALL
        self._samples[slot] = ()
        self._free.append(slot)

    def moments(self, whose: Whose) -> Moments:
        slot = self._slots[whose]
        x, z = np.split(self._sums[slot], [self._width])
        return Moments.of(int(self._counts[slot]), x, z, self._samples[slot])

    def add(self, slots: Ints, pictured: Pictured, traces: Sequence[str]) -> None:
        """Add vectors (k) to their slots (k; below 0: to none)."""
        order = np.argsort(slots, kind="stable")
        order = order[np.searchsorted(slots[order], 0) :]
        if not len(order):
            return
        slots = slots[order]
        starts = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1])))
        edges = np.append(starts, len(slots))
        self._counts[slots[starts]] += np.diff(edges)
        self._add(self._sums[:, : self._width], pictured.vectors.x[order], slots, edges)
        self._add(self._sums[:, self._width :], pictured.z[order], slots, edges)
        self._pick(slots, order, pictured.vectors, traces)

    def _add(self, sums: Ints, images: NDArray[np.integer], slots: Ints, edges: Ints) -> None:
        """Add images (k × …) to the sums of their slots, which begin at these edges."""
        lengths = np.diff(edges)
        for start, end in list(pairwise(edges.tolist())) if (lengths > _LONG).any() else ():
            if end - start > _LONG:
                sums[slots[start]] += images[start:end].sum(axis=0, dtype=np.int64)
        short = edges[:-1][lengths <= _LONG]
        lengths = lengths[lengths <= _LONG]
        for turn in range(int(lengths.max(initial=0))):
            at = short[lengths > turn] + turn
            sums[slots[at]] += images[at]

    def _pick(self, slots: Ints, order: Ints, vectors: Vectors, traces: Sequence[str]) -> None:
        """Keep those of the least ranks."""
        ranks = vectors.ranks[order]
        near = np.flatnonzero(ranks <= self._bounds[slots])
        near = near[np.lexsort((ranks[near], slots[near]))]
        if not len(near):
            return
        mine, ranks = slots[near], ranks[near]
        edges = np.flatnonzero(np.concatenate(([True], mine[1:] != mine[:-1], [True])))
        for start, end in pairwise(edges.tolist()):
            slot, last = int(mine[start]), int(ranks[min(start + SAMPLE, end) - 1])
            upto = start + int(np.searchsorted(ranks[start:end], last, "right"))
            found = [
                (rank, clean(traces[vectors.places[place]]), vectors.x[place].astype("<i2").tobytes())
                for rank, place in zip(
                    ranks[start:upto].tolist(), order[near[start:upto]].tolist(), strict=True
                )
            ]
            self._samples[slot] = sample = least((*self._samples[slot], *found))
            if len(sample) == SAMPLE:
                self._bounds[slot] = sample[-1][0]
