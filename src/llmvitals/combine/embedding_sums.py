"""The sums of embeddings of one view in one pane, all rows at once."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.codes import clean
from llmvitals.combine.embeddings import FeaturedVectors, SpaceKind, Vectors
from llmvitals.sketch.moments import MOST, SAMPLE, Meaning, Moments, SampledVector, least
from llmvitals.sketch.random_features import FEATURES, WIDEST
from llmvitals.sketch.runs import run_starts, runs

Ints = NDArray[np.int64]
Owner = tuple[int, str]
"""Row and space."""

_NONE: Final = -1
_SHIFT: Final = 32
_LONG: Final = 8
"""More vectors than this of one series are summed in one numpy call."""
_ALL: Final = np.iinfo(np.int64).max


class EmbeddingSums:
    """For each row the moments of the MOST spaces that come first by name, as merge_meaning keeps them.

    A space that was dropped never returns, because the spaces that come before it stay.
    """

    def __init__(self) -> None:
        self._rows: dict[int, list[str]] = {}
        self._kinds: dict[str, SpaceKind] = {}
        self._sums: dict[SpaceKind, _SpaceSums] = {}

    def add(
        self,
        rows: Ints,
        kind: SpaceKind,
        featured: FeaturedVectors,
        *,
        names: Sequence[str],
        traces: Sequence[str],
    ) -> None:
        """Add vectors of n calls.

        rows: the row of each call, below 0 for none. names: the spaces' keys by code. traces: of each call.
        """
        vectors = featured.vectors
        keys, inverse = np.unique(rows[vectors.places] << _SHIFT | vectors.spaces, return_inverse=True)
        codes = (keys & (1 << _SHIFT) - 1).tolist()
        owners = list(zip((keys >> _SHIFT).tolist(), [names[code] for code in codes], strict=True))
        for row, name in owners:
            if row >= 0:
                self._admit(kind, row, name)
        sums = self._sums.get(kind)
        if sums is not None:
            # Slots are read after all spaces are admitted: a later one may have dropped an earlier one.
            sums.add(np.array([sums.slot(owner) for owner in owners], np.int64)[inverse], featured, traces)

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, row: int) -> Meaning:
        """The moments of a row."""
        names = self._rows.get(row, ())
        return {name: self._sums[self._kinds[name]].moments((row, name)) for name in names}

    def _admit(self, kind: SpaceKind, row: int, name: str) -> None:
        """Add a space to a row if it is among the MOST first by name, and drop the last one if needed."""
        names = self._rows.setdefault(row, [])
        if name in names or (len(names) == MOST and name > names[-1]):
            return
        if len(names) == MOST:
            dropped = names.pop()
            self._sums[self._kinds[dropped]].drop((row, dropped))
        insort(names, name)
        self._kinds[name] = kind
        if kind not in self._sums:
            self._sums[kind] = _SpaceSums(kind)
        self._sums[kind].begin((row, name))


class _SpaceSums:
    """The sums of vectors of one kind: a row for each slot, x and z side by side."""

    def __init__(self, kind: SpaceKind) -> None:
        self._width = min(kind[0], WIDEST)
        self._slots: dict[Owner, int] = {}
        self._free: list[int] = []
        self._sums = np.zeros((0, self._width + FEATURES), np.int64)
        self._counts = np.zeros(0, np.int64)
        self._bounds = np.zeros(0, np.int64)
        """For each slot the rank from which on a vector is not sampled any more."""
        self._samples: list[tuple[SampledVector, ...]] = []

    def slot(self, owner: Owner) -> int:
        """The slot of a row and space, or _NONE."""
        return self._slots.get(owner, _NONE)

    def begin(self, owner: Owner) -> None:
        slot = self._slots[owner] = self._free.pop() if self._free else len(self._samples)
        if slot == len(self._samples):
            self._samples.append(())
        if slot == len(self._counts):
            more = slot + 1
            self._sums = np.vstack((self._sums, np.zeros((more, self._sums.shape[1]), np.int64)))
            self._counts = np.hstack((self._counts, np.zeros(more, np.int64)))
            self._bounds = np.hstack((self._bounds, np.full(more, _ALL)))

    def drop(self, owner: Owner) -> None:
        slot = self._slots.pop(owner)
        self._sums[slot], self._counts[slot], self._bounds[slot] = 0, 0, _ALL
        self._samples[slot] = ()
        self._free.append(slot)

    def moments(self, owner: Owner) -> Moments:
        slot = self._slots[owner]
        sums, width = self._sums[slot], self._width
        return Moments.of(int(self._counts[slot]), sums[:width], sums[width:], self._samples[slot])

    def add(self, slots: Ints, featured: FeaturedVectors, traces: Sequence[str]) -> None:
        """Add k vectors to their slots (below 0: none)."""
        order = np.argsort(slots, kind="stable")
        order = order[np.searchsorted(slots[order], 0) :]
        if not len(order):
            return
        slots = slots[order]
        starts = run_starts(slots)
        edges = np.append(starts, len(slots))
        self._counts[slots[starts]] += np.diff(edges)
        self._add(self._sums[:, : self._width], featured.vectors.x[order], slots, edges)
        self._add(self._sums[:, self._width :], featured.z[order], slots, edges)
        self._sample(slots, order, featured.vectors, traces)

    def _add(self, sums: Ints, images: NDArray[np.integer], slots: Ints, edges: Ints) -> None:
        """Add images (k × …), sorted by slot, to the sums; edges: where each slot's images begin."""
        lengths = np.diff(edges)
        for start, end in list(pairwise(edges.tolist())) if (lengths > _LONG).any() else ():
            if end - start > _LONG:
                sums[slots[start]] += images[start:end].sum(axis=0, dtype=np.int64)
        short = edges[:-1][lengths <= _LONG]
        lengths = lengths[lengths <= _LONG]
        for step in range(int(lengths.max(initial=0))):
            at = short[lengths > step] + step
            sums[slots[at]] += images[at]

    def _sample(self, slots: Ints, order: Ints, vectors: Vectors, traces: Sequence[str]) -> None:
        """Keep the SAMPLE vectors of the least ranks for each slot."""
        ranks = vectors.ranks[order]
        candidates = np.flatnonzero(ranks <= self._bounds[slots])
        candidates = candidates[np.lexsort((ranks[candidates], slots[candidates]))]
        if not len(candidates):
            return
        sampled_slots, ranks = slots[candidates], ranks[candidates]
        for start, end in runs(sampled_slots):
            slot, bound = int(sampled_slots[start]), int(ranks[min(start + SAMPLE, end) - 1])
            stop = start + int(np.searchsorted(ranks[start:end], bound, "right"))
            newly_sampled = [
                (rank, clean(traces[vectors.places[place]]), vectors.x[place].astype("<i2").tobytes())
                for rank, place in zip(
                    ranks[start:stop].tolist(), order[candidates[start:stop]].tolist(), strict=True
                )
            ]
            self._samples[slot] = sample = least((*self._samples[slot], *newly_sampled))
            if len(sample) == SAMPLE:
                self._bounds[slot] = sample[-1][0]
