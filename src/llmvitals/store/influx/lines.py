"""Points → InfluxDB's line protocol.

The client's own Point is not used: it drops NaN silently, changes the series when a tag is empty, and takes
many times as long.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from llmvitals.store.series import REMEMBERED, Series, text

if TYPE_CHECKING:
    from llmvitals.store.points import PlacedPoint

_ESCAPED: Final = re.compile("([,= ])")
_ASSIGNED: Final = bytes.maketrans(b":", b"=")
_encode = msgspec.json.Encoder().encode


def line(placed: PlacedPoint) -> bytes:
    """Return the line without its end: counts with `i`, measures as floats, texts in quotes, time in ns."""
    point = placed.point
    fields = []
    # A JSON object of names and numbers has the commas where the fields have them, and msgspec writes
    # numbers several times as fast as Python.
    if point.counts:
        fields.append(_assigned(point.counts).replace(b",", b"i,") + b"i")
    if point.measures:
        fields.append(_assigned(point.measures))
    fields += [f'{key}="{_quoted(value)}"'.encode() for key, value in point.texts.items()]
    return b"%b %b %d" % (_head(placed.series), b",".join(fields), point.start * 1_000)


def _assigned(numbers: dict[str, int] | dict[str, float]) -> bytes:
    """`name=number,…`; names are of small letters, digits and _."""
    return _encode(numbers).translate(_ASSIGNED, b'{"}')


@lru_cache(maxsize=REMEMBERED)
def _head(series: Series) -> bytes:
    tags = (f",{_escape(key)}={_escape(value)}" for key, value in series.tags.items())
    return f"{series.measurement}{''.join(tags)}".encode()


def _escape(value: str) -> str:
    return _ESCAPED.sub(r"\\\1", value)


def _quoted(value: str) -> str:
    return text(value).replace("\\", "\\\\").replace('"', '\\"')
