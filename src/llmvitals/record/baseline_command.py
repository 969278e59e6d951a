"""An order: what somebody wants the rules to remember of a series, as it lies on `llm.partials.v1`."""

from __future__ import annotations

import msgspec

from llmvitals.record.frame import Frame


class BaselineCommand(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Obeyed where it lies in the log, so that what merge does stays a function of the log alone.

    series: values of the view's dimensions, without its arm. rule: a rule that reads the view. memory: what
    it is to go by from here on, in its kind's own form; None: it learns anew. at: when it was given, µs.
    by: who gave it.
    """

    view: str
    series: tuple[str, ...]
    rule: str
    memory: bytes | None
    at: int
    by: str = ""

    def encode(self) -> bytes:
        """Msgpack."""
        return _encoder.encode(self)


def decode(data: bytes) -> Frame | BaselineCommand:
    """What lies on the partials. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder: msgspec.msgpack.Decoder[Frame | BaselineCommand] = msgspec.msgpack.Decoder(Frame | BaselineCommand)
