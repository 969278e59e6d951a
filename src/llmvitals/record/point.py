"""The records on `llm.vitals.v1`: points, which the sinks write to stores.

A record holds an array of points or, as in versions before arrays and for the changes of alerts, one point.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from llmvitals.record.sizes import BYTES, split_by_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST: Final = 500
"""Points of an array, at most."""
_TOGETHER: Final = 20
"""Points that are encoded at once, which takes three quarters of the time that one by one takes …"""
_LARGE: Final = BYTES // 10
"""… if they have at most so many bytes: arrays are filled by all of them or none."""

_LEAST, _GREATEST = -(2**63), 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=_LEAST, le=_GREATEST)]
"""An integer of 64 bits, as all stores have them."""
Time = Annotated[int, msgspec.Meta(ge=_LEAST // 1_000 + 1, le=_GREATEST // 1_000)]
"""µs since 1970, such that 64 bits hold the ns."""


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A point of a measurement (InfluxDB), a row of a table (SQLite).

    start: the window's start, µs. tags: `view`, `window` and the view's dimensions. counts are integers,
    measures are floats and never NaN; a measure without a value is left out. upto: the pane up to which the
    point is counted; of two points at one place, the one with the greater `upto` is newer.
    """

    measurement: str
    start: Time
    tags: dict[str, str]
    counts: dict[str, Count]
    measures: dict[str, float]
    texts: dict[str, str] = {}
    upto: Count = 0

    def encode(self) -> bytes:
        """Encode as JSON: a record of one point."""
        return _encode(self)


class RowPoint(msgspec.Struct, frozen=True, gc=False):
    """A `Point` that was made from columns, which is made and encoded faster; the fields are in its order.

    tags: JSON. counts, measures: a `fields` each.
    """

    measurement: str
    start: int
    tags: msgspec.Raw
    counts: msgspec.Struct
    measures: msgspec.Struct
    texts: dict[str, str]
    upto: int


@cache
def fields(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """A struct that is encoded as an object with these names; its values are given in their order."""
    return msgspec.defstruct("Fields", [(name, float) for name in names], frozen=True, gc=False)


def encode(points: Iterable[Point | RowPoint]) -> list[bytes]:
    """Encode points as JSON arrays of at most MOST points and BYTES bytes, in their order.

    A point that is larger gets an array of its own.
    """
    every, arrays = [*points], list[bytes]()
    for start in range(0, len(every), MOST):
        items = _items(every[start : start + MOST])
        # Each item has a comma or the first bracket before it, and the array one more bracket.
        parts = split_by_size(items, lambda item: len(item) + 1, limit=BYTES - 1)
        arrays += [b"[%b]" % b",".join(part) for part in parts]
    return arrays


def _items(points: Sequence[Point | RowPoint]) -> Iterator[bytes]:
    """The points with commas between them, _TOGETHER at a time, or one by one where they are large."""
    for start in range(0, len(points), _TOGETHER):
        some = points[start : start + _TOGETHER]
        together = _encode(some)
        if len(together) <= _LARGE:
            yield together[1:-1]
        else:
            yield from map(_encode, some)


def decode(data: bytes) -> list[Point]:
    """Decode a record. Unknown fields are ignored.

    Raises msgspec.ValidationError when one of its points is none or there is none, msgspec.DecodeError for
    what is no JSON.
    """
    found = _decode(data)
    if not found:
        raise msgspec.ValidationError("the array has no points")
    return [found] if isinstance(found, Point) else found


def decode_each(data: bytes) -> list[Point | ValueError]:
    """Decode a record, each item of an array alone: the point, or the reason why it is none.

    A record that is no array has one item.
    """
    try:
        return [*decode(data)]
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            items = _decode_items(data)
        except (msgspec.DecodeError, RecursionError):
            items = []
        return [_decode_item(item) for item in items] or [ValueError(str(error))]


def _decode_item(item: msgspec.Raw) -> Point | ValueError:
    try:
        return _decode_one(item)
    except msgspec.DecodeError as error:
        return ValueError(str(error))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Point] | Point).decode
_decode_one = msgspec.json.Decoder(Point).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
