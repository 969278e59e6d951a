"""The vectors that calls bring, as images that can be added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.multi_valued import NOTHING, MultiValued
from llmvitals.combine.names import Codes, clean
from llmvitals.record.call import Call, packed
from llmvitals.record.view import UNKNOWN
from llmvitals.sketch.random_features import DEFAULT, key, space

Ints = NDArray[np.int64]


Kind = tuple[int, float]
"""What a space.Space is of: dimension and scale."""


class Vectors(NamedTuple):
    """Vectors of one Kind: of which calls (k, ascending), their ranks, spaces (codes), and x (k × d)."""

    places: Ints
    ranks: Ints
    spaces: Ints
    x: NDArray[np.int16]

    def take(self, moved: Ints) -> Vectors:
        """At the places they moved to, below 0 for none, in the order of these."""
        mine = moved[self.places]
        order = _order(mine)
        return Vectors(mine[order], self.ranks[order], self.spaces[order], self.x[order])

    def part(self, start: int, end: int) -> Vectors:
        """Those of the calls from one place up to another."""
        mine = slice(*np.searchsorted(self.places, (start, end)).tolist())
        return Vectors(self.places[mine] - start, self.ranks[mine], self.spaces[mine], self.x[mine])


Embedded = Mapping[Kind, Vectors]


class Pictured(NamedTuple):
    """Vectors, and z of each (k × FEATURES)."""

    vectors: Vectors
    z: NDArray[np.int32]


_FEW: Final = 2_048


def given(calls: Sequence[Call]) -> MultiValued:
    """What calls bring, a call.Embedding each; the values say nothing."""
    said = [call.embedding for call in calls]
    places = [place for place, one in enumerate(said) if one is not None]
    if not places:
        return NOTHING
    brought = np.empty(len(places), object)
    brought[:] = [said[place] for place in places]
    return MultiValued(np.array(places, np.int64), brought, np.zeros(len(places), np.int64))


class Reader:
    """Reads vectors. scales: model → bandwidth, where it is not the usual one; codes: of the spaces' keys."""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self.codes = Codes[str](str)
        self._scales = scales
        self._met = _Met(self)

    def read(self, brought: MultiValued, ids: Sequence[str]) -> tuple[Embedded, Ints]:
        """The images of usable vectors, and the places of calls whose vector is none; ids: of all calls."""
        said = brought.said.tolist()
        numbers = [packed(one) for one in said]
        met = [self._met[one.model, len(data)] for one, data in zip(said, numbers, strict=True)]
        found, bad = {}, [np.empty(0, np.int64)]
        groups: dict[Kind, list[int]] = {}
        for place, (kind, _) in enumerate(met):
            groups.setdefault(kind, []).append(place)
        for kind, mine in groups.items():
            matrix = np.frombuffer(b"".join([numbers[n] for n in mine]), "<f4").reshape(len(mine), -1)
            spaces = [met[n][1] for n in mine]
            x, usable = space(*kind).vectors(matrix)
            at = brought.places[mine]
            bad.append(at[~usable])
            at = at[usable]
            if len(at):
                ranks = _ranks([ids[place] for place in at.tolist()])
                x = x if usable.all() else x[usable]
                found[kind] = Vectors(at, ranks, np.array(spaces, np.int64)[usable], x)
        return found, np.concatenate(bad)

    def meet(self, said: str, size: int) -> tuple[Kind, int]:
        """What vectors of so many bytes of a model are of, and the code of their space."""
        model = clean(said) or UNKNOWN
        kind = size // 4, self._scales.get(model, DEFAULT)
        return kind, self.codes[key(model, *kind)]


class _Met(dict[tuple[str, int], tuple[Kind, int]]):
    """Model and bytes → what `meet` says."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def __missing__(self, said: tuple[str, int]) -> tuple[Kind, int]:
        found = self[said] = self._reader.meet(*said)
        return found


def split(embedded: Embedded, order: Ints, ends: Sequence[int]) -> list[Embedded]:
    """Parts up to these ends, after putting the calls into this order."""
    if not embedded:
        return [{} for _ in ends[1:]]
    moved = np.empty(len(order), np.int64)
    moved[order] = np.arange(len(order))
    taken = {kind: vectors.take(moved) for kind, vectors in embedded.items()}
    return [
        {kind: part for kind, vectors in taken.items() if len((part := vectors.part(start, end)).places)}
        for start, end in pairwise(ends)
    ]


def joined(parts: Sequence[tuple[int, Embedded]]) -> Embedded:
    """Parts one after another; before each of them, how many calls it is of."""
    found: dict[Kind, list[Vectors]] = {}
    start = 0
    for calls, part in parts:
        for kind, vectors in part.items():
            found.setdefault(kind, []).append(vectors._replace(places=vectors.places + start))
        start += calls
    return {kind: Vectors(*map(np.concatenate, zip(*many, strict=True))) for kind, many in found.items()}


def pictured(embedded: Embedded) -> Iterator[tuple[Kind, Pictured]]:
    """With both images, a few at a time: z of many would not fit into a cache."""
    for kind, vectors in embedded.items():
        for start in range(0, len(vectors.places), _FEW):
            part = slice(start, start + _FEW)
            few = Vectors(vectors.places[part], vectors.ranks[part], vectors.spaces[part], vectors.x[part])
            yield kind, Pictured(few, space(*kind).features(few.x))


def _order(moved: Ints) -> Ints:
    there = np.flatnonzero(moved >= 0)
    return there[np.argsort(moved[there], kind="stable")]


def _ranks(ids: Sequence[str]) -> Ints:
    """63 bits of each id's hash: CRC-32, mixed as in splitmix64."""
    z = np.array([crc32(name.encode("utf-8", "replace")) for name in ids], np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)
