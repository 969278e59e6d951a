"""A frame: what one source partition has counted, for one shard, as it lies on `llm.partials.v1`."""

from __future__ import annotations

from zlib import crc32

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One series in one pane: `vitals` are packed, cumulative since the pane's first call."""

    view: str
    series: tuple[str, ...]
    pane: int
    vitals: bytes


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Versioned by the log: at one `version` every worker sends the same entries.

    source: topic/partition. sources: source topic → its number of partitions, all of which merge waits for.
    shard of shards: which partials partition. floor: every pane of this source below it is complete and
    acknowledged (pane index; a floor without entries is a heartbeat). version: the source offset up to which
    the entries are counted. pane_us: the pane's length.
    """

    source: str
    sources: dict[str, int]
    shard: int
    shards: int
    floor: int
    version: int
    pane_us: int
    entries: tuple[Entry, ...] = ()

    def encode(self) -> bytes:
        """Msgpack, canonical."""
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Back from msgpack. Raises msgspec.ValidationError or msgspec.DecodeError."""
        return _decoder.decode(data)


def shard_of(view: str, series: tuple[str, ...], shards: int) -> int:
    """Which shard owns a series: the same on every machine, spread by CRC-32."""
    return crc32("\0".join((view, *series)).encode()) % shards


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder(Frame)
