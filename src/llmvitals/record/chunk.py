"""A piece of a checkpoint, as it lies on the compacted `llm.checkpoints.v1`."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MANIFEST: Final = "manifest"
"""The part that every snapshot has."""
LIMIT: Final = 900_000
"""Bytes of data in one record: below Kafka's usual limit of 1 MiB."""


class Version(NamedTuple):
    """Who wrote it: the greater one is the newer owner, whatever lies later in the log."""

    epoch: int
    generation: int


class ChunkKey(NamedTuple):
    """A chunk's place. Compaction keeps the newest record of each.

    A part of several chunks is written to its slots 0 and 1 in turn, so that compaction can't replace half
    of the last whole one by the first half of the next.
    """

    owner: str
    version: Version
    part: str
    slot: int
    chunk: int

    def encode(self) -> bytes:
        """`group|topic|partition|epoch.generation|part|slot.chunk`."""
        epoch, generation = self.version
        return f"{self.owner}|{epoch}.{generation}|{self.part}|{self.slot}.{self.chunk}".encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Back from bytes. Raises ValueError when it is no such key."""
        owner, version, part, place = data.decode().rsplit("|", 3)
        epoch, generation = version.split(".")
        slot, chunk = place.split(".")
        return cls(owner, Version(int(epoch), int(generation)), part, int(slot), int(chunk))


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a part.

    sequence: counts the writings of this part by this owner. checksum: CRC-32 of the whole part, so a piece
    that is missing shows.
    offset, applied: where a restart reads from, and the offset up to which all was applied. heard: when
    event time last went on there, µs since 1970; 0 if that is not known. topic_id: of the topic that these
    offsets are of; "" if that is not known.
    """

    sequence: int
    checksum: int
    packed: bool
    offset: int
    applied: int
    data: bytes
    heard: int = 0
    topic_id: str = ""

    def encode(self) -> bytes:
        """MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Back from bytes. Raises msgspec.DecodeError."""
        return msgspec.msgpack.decode(data, type=cls)


@dataclass(slots=True)
class Saved:
    """The checkpoint of one partition as it was found.

    epoch: the highest seen, 0 for none. at: the manifest's offset in the checkpoint topic, -1 for none.
    parts: name → bytes. places: part → offset of its first chunk there. keys: every key that was found.
    """

    epoch: int = 0
    at: int = -1
    offset: int = 0
    applied: int = 0
    heard: int = 0
    topic_id: str = ""
    parts: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    keys: dict[str, list[ChunkKey]] = field(default_factory=dict)


class _Whole(NamedTuple):
    """A part that is complete and undamaged; first, last: the log offsets of its chunks."""

    version: Version
    last: int
    first: int
    head: Chunk
    data: bytes


def split(
    data: bytes, *, sequence: int, offset: int, applied: int, heard: int = 0, topic_id: str = ""
) -> list[Chunk]:
    """The chunks of a part: compressed when it is over the limit, one record whenever that suffices."""
    checksum, packed = zlib.crc32(data), len(data) > LIMIT
    if packed:
        data = zlib.compress(data, 1)
    pieces = [data[start : start + LIMIT] for start in range(0, len(data), LIMIT)] or [b""]
    return [Chunk(sequence, checksum, packed, offset, applied, piece, heard, topic_id) for piece in pieces]


def pick(found: Mapping[ChunkKey, tuple[int, Chunk]]) -> Saved:
    """The checkpoint among the newest records of every key: key → (log offset, chunk).

    The manifest is the one of the greatest (epoch, generation, offset); of every other part the greatest
    that is not of a newer owner than the manifest's. A part of which a chunk is missing or damaged is as if
    it were not there.
    """
    saved = Saved(epoch=max((key.version.epoch for key in found), default=0))
    for key in found:
        saved.keys.setdefault(key.part, []).append(key)
    whole: dict[str, list[_Whole]] = defaultdict(list)
    for part, one in _complete(found):
        whole[part].append(one)
    manifest = max(whole.pop(MANIFEST, ()), default=None, key=lambda one: one[:2])
    if manifest is None:
        return saved
    saved.at, saved.offset, saved.applied = manifest.first, manifest.head.offset, manifest.head.applied
    saved.heard, saved.topic_id = manifest.head.heard, manifest.head.topic_id
    newest = {MANIFEST: manifest}
    for part, several in whole.items():
        allowed = [one for one in several if one.version <= manifest.version]
        if allowed:
            newest[part] = max(allowed, key=lambda one: one[:2])
    saved.parts = {part: one.data for part, one in newest.items()}
    saved.places = {part: one.first for part, one in newest.items()}
    return saved


def _complete(found: Mapping[ChunkKey, tuple[int, Chunk]]) -> Iterator[tuple[str, _Whole]]:
    """Every part of which all chunks of one writing are there and right."""
    writings: dict[tuple[str, Version, int, int], list[tuple[int, int, Chunk]]] = defaultdict(list)
    for key, (place, chunk) in found.items():
        writings[key.part, key.version, key.slot, chunk.sequence].append((key.chunk, place, chunk))
    for (part, version, _, _), chunks in writings.items():
        chunks.sort(key=lambda chunk: chunk[0])
        head = chunks[0][2]
        data = _joined(chunk.data for _, _, chunk in chunks) if len(chunks) > 1 else head.data
        try:
            data = zlib.decompress(data) if head.packed else data
        except zlib.error:
            continue
        if zlib.crc32(data) == head.checksum:
            places = [place for _, place, _ in chunks]
            yield part, _Whole(version, max(places), min(places), head, data)


def _joined(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)
