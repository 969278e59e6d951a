"""The records on `llm.partials.v1`: frames with the sums of calls, and between them commands to the rules.

All are msgpack arrays whose first element is a tag: 1 is a `Frame`, 2 a `BaselineCommand`, 3 a `BlockFrame`.
Frames have had their tag since the first version, so frames of every version can be read. A version that does
not know a tag refuses the record with a ValidationError and never takes it for something else; a new kind of
record gets the next tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from llmvitals.record.block import Block, PackedBlock

if TYPE_CHECKING:
    FrameBlock = PackedBlock | Block
else:
    FrameBlock = PackedBlock

TAG: Final = 1
"""Tells a frame from other records."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """The sums of one series in one pane; `vitals` are packed, and cumulative since the pane's first call."""

    view: str
    series: tuple[str, ...]
    pane: int
    vitals: bytes


class LateEntry(Entry, frozen=True, array_like=True):
    """Of the calls that came after their own pane had closed: those of one quarter of an hour.

    pane: the one that they are counted in. quarter: that of their own time, µs // window.QUARTER_HOUR.
    """

    quarter: int


class FrameHeader(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of a frame, which is of one source for one shard.

    source: topic/partition. sources: source topic → its number of partitions, all of which merge waits for.
    shard, shards: the partition of the partials, and how many there are. floor: every pane of this source
    below it is complete and acknowledged (pane index). version: the source offset up to which the entries are
    counted, less 1 for early entries; at one version every worker sends the same entries. pane_us: the length
    of a pane, µs.
    """

    source: str
    sources: dict[str, int]
    shard: int
    shards: int
    floor: int
    version: int
    pane_us: int


class Frame(FrameHeader, frozen=True, array_like=True, tag=TAG):
    """A heartbeat (without entries), late entries, or the entries of an older version.

    late: entries of late calls, which `entries` do not contain.
    """

    entries: tuple[Entry, ...] = ()
    late: tuple[LateEntry, ...] = ()

    def encode(self) -> bytes:
        """Return it as canonical msgpack: equal frames have equal bytes.

        Without late calls these are the bytes that versions without `late` write.
        """
        return _encoder.encode(self if self.late else (TAG, *msgspec.structs.astuple(self)[:-1]))

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Decode a frame. Raises msgspec.ValidationError or msgspec.DecodeError."""
        return _decoder.decode(data)


class BlockFrame(FrameHeader, frozen=True, array_like=True, tag=3):
    """The entries as blocks.

    They are packed, except where merge gets the frame in the same process; such a frame is never encoded.
    """

    blocks: tuple[FrameBlock, ...]

    def encode(self) -> bytes:
        """Return it as canonical msgpack: equal frames have equal bytes."""
        return _encoder.encode(self)

    def unpack(self) -> BlockFrame:
        """The same frame with its blocks unpacked. Raises ValueError for what combine does not pack."""
        return msgspec.structs.replace(self, blocks=tuple(block.unpack() for block in self.blocks))


AnyFrame = Frame | BlockFrame


class BaselineCommand(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Replaces what a rule compares a series with.

    merge carries it out at its place in the log, so that its state stays a function of the log alone.

    view: the view of the series. series: values of the view's dimensions, without its arm. rule: the name of
    a rule that reads the view. memory: the new baseline, in the form of the rule's kind; None: the rule
    learns anew. at: when the command was given, µs since 1970. by: who gave it.
    """

    view: str
    series: tuple[str, ...]
    rule: str
    memory: bytes | None
    at: int
    by: str = ""

    def encode(self) -> bytes:
        """Return it as msgpack."""
        return _encoder.encode(self)


def decode(data: bytes) -> AnyFrame | BaselineCommand:
    """Decode a record of `llm.partials.v1` by its tag.

    Raises msgspec.ValidationError for another tag or other fields, msgspec.DecodeError for other bytes.
    """
    return _record_decoder.decode(data)


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder(Frame)
_record_decoder: msgspec.msgpack.Decoder[AnyFrame | BaselineCommand] = msgspec.msgpack.Decoder(
    AnyFrame | BaselineCommand
)
