"""Reads the embeddings of calls and turns them into integer vectors that can be added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.codes import Codes, clean
from llmvitals.combine.multi_valued import NOTHING, MultiValued, stretches
from llmvitals.record.call import Call, packed
from llmvitals.record.view import UNKNOWN
from llmvitals.sketch.moments import SOURCE
from llmvitals.sketch.random_features import DEFAULT, key, space

Ints = NDArray[np.int64]


SpaceKind = tuple[int, float]
"""The dimension and the bandwidth of a random_features.Space."""


class Vectors(NamedTuple):
    """k vectors of one SpaceKind.

    places: the call that each belongs to, ascending. ranks: see moments.SampledVector. spaces: codes of their
    keys. x (k × d): see random_features.
    """

    places: Ints
    ranks: Ints
    spaces: Ints
    x: NDArray[np.int16]

    def take(self, moved: Ints) -> Vectors:
        """Move the vectors to the new places of their calls (below 0: dropped), and sort them by these."""
        moved_places = moved[self.places]
        order = _order(moved_places)
        return Vectors(moved_places[order], self.ranks[order], self.spaces[order], self.x[order])

    def parts(self, edges: Sequence[int]) -> list[Vectors | None]:
        """The vectors of the calls from each edge up to the next one; None for none."""
        return [
            None
            if inside is None
            else Vectors(self.places[inside] - start, self.ranks[inside], self.spaces[inside], self.x[inside])
            for start, inside in stretches(self.places, edges)
        ]


Embeddings = Mapping[SpaceKind, Vectors]


class FeaturedVectors(NamedTuple):
    """Vectors with their random Fourier features z (k × FEATURES)."""

    vectors: Vectors
    z: NDArray[np.int32]


_AT_ONCE: Final = 2_048


class CallVector(NamedTuple):
    """The vector of a call. numbers: little-endian float32, finite and not all 0."""

    model: str
    numbers: bytes


def embedding_column(calls: Sequence[Call]) -> tuple[MultiValued, Ints]:
    """The usable vector of each call that has one, and the places of calls whose vector is unusable.

    The names are CallVector; the values are unused. A vector is usable if it is finite and not 0.
    """
    column = [(place, call.embedding) for place, call in enumerate(calls) if call.embedding is not None]
    if not column:
        return NOTHING, np.empty(0, np.int64)
    vectors = [CallVector(embedding.model, packed(embedding)) for _, embedding in column]
    sizes = [len(vector.numbers) // 4 for vector in vectors]
    numbers = np.abs(np.frombuffer(b"".join([vector.numbers for vector in vectors]), "<f4"))
    top = np.maximum.reduceat(numbers, np.cumsum([0, *sizes[:-1]]))
    usable, places = np.isfinite(top) & (top > 0), np.array([place for place, _ in column], np.int64)
    names = np.empty(len(vectors), object)
    names[:] = vectors
    column_of = MultiValued(places[usable], names[usable], np.zeros(int(usable.sum()), np.int64))
    return column_of, places[~usable]


class EmbeddingReader:
    """Reads vectors. scales: model → bandwidth other than the default. codes: of the spaces' keys."""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self.codes = Codes[str](str)
        self._scales = scales
        self._known = _KnownSpaces(self)

    def read(self, column: MultiValued, ids: Sequence[str], sources: Sequence[str]) -> Embeddings:
        """Read a column of CallVector. ids, sources: of all calls; see moments.SampledVector."""
        numbers = [vector.numbers for vector in column.names]
        known = [self._known[vector.model, len(vector.numbers)] for vector in column.names]
        vectors = {}
        groups: dict[SpaceKind, list[int]] = {}
        for place, (kind, _) in enumerate(known):
            groups.setdefault(kind, []).append(place)
        for kind, members in groups.items():
            matrix = np.frombuffer(b"".join([numbers[n] for n in members]), "<f4").reshape(len(members), -1)
            x, _ = space(*kind).vectors(matrix)
            calls = column.places[members]
            places = calls.tolist()
            ranks = _ranks([ids[place] for place in places], [sources[place] for place in places])
            vectors[kind] = Vectors(calls, ranks, np.array([known[n][1] for n in members], np.int64), x)
        return vectors

    def space_of(self, model: str, size: int) -> tuple[SpaceKind, int]:
        """The kind and the code of the space of a model's vectors of `size` bytes."""
        name = clean(model) or UNKNOWN
        kind = size // 4, self._scales.get(name, DEFAULT)
        return kind, self.codes[key(name, *kind)]


class _KnownSpaces(dict[tuple[str, int], tuple[SpaceKind, int]]):
    """Cache of `EmbeddingReader.space_of`: (model, bytes) → kind and code."""

    def __init__(self, reader: EmbeddingReader) -> None:
        super().__init__()
        self._reader = reader

    def __missing__(self, model_and_size: tuple[str, int]) -> tuple[SpaceKind, int]:
        space_and_code = self[model_and_size] = self._reader.space_of(*model_and_size)
        return space_and_code


def split(embedded: Embeddings, order: Ints, ends: Sequence[int]) -> list[Embeddings]:
    """Put the calls into this order and split them into parts at these ends."""
    if not embedded:
        return [{} for _ in ends[1:]]
    moved = np.empty(len(order), np.int64)
    moved[order] = np.arange(len(order))
    parts: list[dict[SpaceKind, Vectors]] = [{} for _ in ends[1:]]
    for kind, vectors in embedded.items():
        for part, found in zip(parts, vectors.take(moved).parts(ends), strict=True):
            if found is not None:
                part[kind] = found
    return list[Embeddings](parts)


def concatenate(parts: Sequence[tuple[int, Embeddings]]) -> Embeddings:
    """Concatenate parts: (number of calls, their vectors)."""
    by_kind: dict[SpaceKind, list[Vectors]] = {}
    start = 0
    for calls, part in parts:
        for kind, vectors in part.items():
            by_kind.setdefault(kind, []).append(vectors._replace(places=vectors.places + start))
        start += calls
    return {kind: Vectors(*map(np.concatenate, zip(*many, strict=True))) for kind, many in by_kind.items()}


def with_features(embedded: Embeddings) -> Iterator[tuple[SpaceKind, FeaturedVectors]]:
    """Compute z of all vectors, _AT_ONCE at a time: more of z would not fit into the processor's cache."""
    for kind, vectors in embedded.items():
        for start in range(0, len(vectors.places), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            group = Vectors(vectors.places[part], vectors.ranks[part], vectors.spaces[part], vectors.x[part])
            yield kind, FeaturedVectors(group, space(*kind).features(group.x))


def _order(moved: Ints) -> Ints:
    kept = np.flatnonzero(moved >= 0)
    return kept[np.argsort(moved[kept], kind="stable")]


def _ranks(ids: Sequence[str], sources: Sequence[str]) -> Ints:
    """The ranks of calls: see moments.SampledVector."""
    return _hashes(ids) & ~SOURCE | _hashes(sources) & SOURCE


def _hashes(names: Sequence[str]) -> Ints:
    """Hash each name to 63 bits: CRC-32, mixed as in splitmix64."""
    z = np.array([crc32(name.encode("utf-8", "replace")) for name in names], np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)
