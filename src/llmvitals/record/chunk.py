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
"""Bytes of data in one record, at most: below Kafka's default limit of 1 MiB."""


class Version(NamedTuple):
    """The owner of a chunk: the greater version is the newer owner, whatever lies later in the log."""

    epoch: int
    generation: int


class ChunkKey(NamedTuple):
    """The key of a chunk. Compaction keeps the newest record of each key.

    A part of several chunks is written to the slots 0 and 1 in turn, so that compaction can't replace half of
    the last complete version by the first half of the next.
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
        """Decode a key. Raises ValueError when it has another form."""
        owner, version, part, place = data.decode().rsplit("|", 3)
        epoch, generation = version.split(".")
        slot, chunk = place.split(".")
        return cls(owner, Version(int(epoch), int(generation)), part, int(slot), int(chunk))


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a part.

    sequence: how often this owner has written this part. checksum: CRC-32 of the whole part, which tells that
    a piece is missing. offset, applied: where a restart reads from, and the offset up to which records were
    applied. heard: when event time last went on in the partition, µs since 1970; 0 if not known. topic_id:
    the id of the topic that the offsets belong to; "" if not known.
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
        """Decode a chunk. Raises msgspec.DecodeError."""
        return msgspec.msgpack.decode(data, type=cls)


@dataclass(slots=True)
class Saved:
    """The checkpoint of one partition, as read from the checkpoint topic.

    epoch: the highest found, 0 for none. at: the manifest's offset in the checkpoint topic, -1 for none.
    parts: name → bytes. places: part → offset of its first chunk there. keys: part → all keys found.
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
    """A complete and undamaged part; first, last: the lowest and highest log offset of its chunks."""

    version: Version
    last: int
    first: int
    head: Chunk
    data: bytes


def split(
    data: bytes, *, sequence: int, offset: int, applied: int, heard: int = 0, topic_id: str = ""
) -> list[Chunk]:
    """Return the chunks of a part, which is compressed if it is larger than LIMIT."""
    checksum, packed = zlib.crc32(data), len(data) > LIMIT
    if packed:
        data = zlib.compress(data, 1)
    pieces = [data[start : start + LIMIT] for start in range(0, len(data), LIMIT)] or [b""]
    return [Chunk(sequence, checksum, packed, offset, applied, piece, heard, topic_id) for piece in pieces]


def pick(found: Mapping[ChunkKey, tuple[int, Chunk]]) -> Saved:
    """Return the checkpoint among the newest records of every key: key → (log offset, chunk).

    The manifest is the one with the greatest (epoch, generation, offset). Every other part is the greatest
    one that is not of a newer owner than the manifest. A part with a missing or damaged chunk is ignored.
    """
    saved = Saved(epoch=max((key.version.epoch for key in found), default=0))
    for key in found:
        saved.keys.setdefault(key.part, []).append(key)
    whole: dict[str, list[_Whole]] = defaultdict(list)
    for part, version in _complete(found):
        whole[part].append(version)
    manifest = max(whole.pop(MANIFEST, ()), default=None, key=lambda version: version[:2])
    if manifest is None:
        return saved
    saved.at, saved.offset, saved.applied = manifest.first, manifest.head.offset, manifest.head.applied
    saved.heard, saved.topic_id = manifest.head.heard, manifest.head.topic_id
    newest = {MANIFEST: manifest}
    for part, versions in whole.items():
        allowed = [version for version in versions if version.version <= manifest.version]
        if allowed:
            newest[part] = max(allowed, key=lambda version: version[:2])
    saved.parts = {part: version.data for part, version in newest.items()}
    saved.places = {part: version.first for part, version in newest.items()}
    return saved


def _complete(found: Mapping[ChunkKey, tuple[int, Chunk]]) -> Iterator[tuple[str, _Whole]]:
    """Yield every version of a part whose chunks are all there and undamaged."""
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
