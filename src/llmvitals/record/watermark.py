"""How far a shard of merge has come, as it lies on `llm.alerts.v1` between the alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from llmvitals.record.log import Record

_PREFIX = b"watermark/"


class Watermark(msgspec.Struct, frozen=True, kw_only=True, tag="watermark"):
    """All alerts that calls before `time` (event time, µs) cause in a shard lie before this record.

    shard of shards: which partition of the partials the alerts come from. A merge that replays writes lower
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
        """JSON, with "watermark" as "type"."""
        return msgspec.json.encode(self)


def read(record: Record) -> Watermark | None:
    """The watermark in a record of the alerts topic; None where it is none, and so should be an alert."""
    if not (record.key or b"").startswith(_PREFIX):
        return None
    try:
        return _decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


_decoder: msgspec.json.Decoder[Watermark] = msgspec.json.Decoder(Watermark)
