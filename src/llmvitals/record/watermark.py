"""How far a shard of merge has come, as it lies on the compacted `llm.watermarks.v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from llmvitals.record.log import Record

_PREFIX = b"watermark/"


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """When this was written, all alerts that calls before `time` cause in a shard were on the alerts topic.

    time: event time, µs. shard of shards: which partition of the partials. A merge that replays writes lower
    ones again, so of each shard the last one counts, not the highest.
    """

    shard: int
    shards: int
    time: int

    @property
    def key(self) -> bytes:
        """Of the record."""
        return _PREFIX + str(self.shard).encode()

    def encode(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)


def read(record: Record) -> Watermark | None:
    """The watermark in a record; None where it is none."""
    if not (record.key or b"").startswith(_PREFIX):
        return None
    try:
        return _decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


_decoder: msgspec.json.Decoder[Watermark] = msgspec.json.Decoder(Watermark)
