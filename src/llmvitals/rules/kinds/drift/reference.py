"""The reference: the distribution of a series' embeddings when it was learned."""

from __future__ import annotations

from typing import Final

import msgspec

from llmvitals.rules.kinds.drift.calibration import Calibration
from llmvitals.stats.whitening import Whitening

KEPT: Final = 48
"""Learned vectors that are kept to name calls that are missing later."""

Seen = tuple[str, bytes]
"""Trace id, x as int8 of any length."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """One of two statistics of the vectors."""

    whitening: Whitening
    calibration: Calibration


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """A learned reference.

    space: of its vectors. made: event time (µs) of its end. calls: vectors of the mean. overdispersion: the
    variance of a minute's mean relative to that of independent calls. topics: the head on x. shape: the head
    on z. alike: the calibration of Whitening.alike of x, one number without axes. kept: a uniform sample of
    the learned vectors.
    """

    version: int
    space: str
    made: int
    calls: int
    overdispersion: float
    topics: Head
    shape: Head
    alike: Calibration
    kept: tuple[Seen, ...] = ()

    def pack(self) -> bytes:
        """Msgpack, about 40 kB for vectors of 256 numbers."""
        return msgspec.msgpack.encode(self)


VERSION: Final = 1
_decoder = msgspec.msgpack.Decoder(Reference)


def unpacked(data: bytes) -> Reference:
    """Decode `Reference.pack`. Raises ValueError if it is not a reference of this version."""
    try:
        found = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is not a reference of embeddings: {error}") from None
    if found.version != VERSION:
        raise ValueError(
            f"this reference has version {found.version}, but {VERSION} is required: learn it again"
        )
    return found
