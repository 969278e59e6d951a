"""The reference: the distribution of a series' embeddings when it was learned."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from llmvitals.rules.kinds.drift.calibration import Calibration
from llmvitals.rules.kinds.drift.novelty import Novelty
from llmvitals.rules.kinds.drift.sources import UNKNOWN, Crowding
from llmvitals.stats.whitening import Whitening

KEPT: Final = 48
"""Learned vectors that are kept to name calls that are missing later."""

Seen = tuple[str, bytes]
"""Trace id, x as int8 of any length."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """One of the statistics of the vectors."""

    whitening: Whitening
    calibration: Calibration


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """A learned reference.

    space: of its vectors. made: event time (µs) of its end. calls: vectors of the mean. overdispersion: the
    variance of a minute's mean relative to that of independent calls. topics: the head on x. shape: the head
    on z. alike: the calibration of Whitening.alike of x, one number without axes. kept: a uniform sample of
    the learned vectors. novelty, unusual: what makes a call unusual, and the head on the weighed calls; None
    in references of older versions, and where too few calls were distinct. unusual_calls: distinct calls of
    its mean. minutes: of calls that the limits rest on; 0 in older references. hours: those of the week that
    were learned; b"" if less than a day was, as no hour is better known then. distinct_calls: those of the
    mean of `topics`, if it looks at distinct calls; 0 if it looks at the sums. joint: the calibration of
    topics and unusual as one vector, if both look at distinct calls. old_crowding: of older references, which
    counted sources in another way. crowding: the usual one, see sources; unknown in older references.
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
    novelty: Novelty | None = None
    unusual: Head | None = None
    unusual_calls: int = 0
    minutes: int = 0
    hours: bytes = b""
    distinct_calls: int = 0
    joint: Calibration | None = None
    old_crowding: float = 0.0
    crowding: Crowding = UNKNOWN

    def pack(self) -> bytes:
        """Msgpack, about 110 kB for vectors of 256 numbers."""
        return msgspec.msgpack.encode(self)


VERSION: Final = 1
_decoder = msgspec.msgpack.Decoder(Reference)


@lru_cache(maxsize=8)
def unpacked(data: bytes) -> Reference:
    """Decode `Reference.pack`. Raises ValueError if it is not a reference of this version.

    The last ones are kept, because a series is read step by step.
    """
    try:
        found = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is not a reference of embeddings: {error}") from None
    if found.version != VERSION:
        raise ValueError(
            f"this reference has version {found.version}, but {VERSION} is required: learn it again"
        )
    return found
