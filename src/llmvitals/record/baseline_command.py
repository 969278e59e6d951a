"""A command to the rules, as it lies on `llm.partials.v1` between the frames, and how the two are told apart.

Both are msgpack arrays whose first element is a tag: 1 is a `Frame`, 2 a `BaselineCommand`. Frames have had
their tag since the first version, so frames of every version can be read. A version that does not know a tag
refuses the record with a ValidationError and never takes it for something else; a new kind of record gets
the next tag.
"""

from __future__ import annotations

import msgspec

from llmvitals.record.frame import Frame


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


def decode(data: bytes) -> Frame | BaselineCommand:
    """Decode a record of `llm.partials.v1` by its tag.

    Raises msgspec.ValidationError for another tag or other fields, msgspec.DecodeError for other bytes.
    """
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder: msgspec.msgpack.Decoder[Frame | BaselineCommand] = msgspec.msgpack.Decoder(Frame | BaselineCommand)
