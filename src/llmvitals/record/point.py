"""The record on `llm.vitals.v1`: one series in one window, which the sinks write to stores."""

from __future__ import annotations

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a measurement (InfluxDB), a row of a table (SQLite).

    start: the window's start, µs. tags: `view`, `window` and the view's dimensions. counts are integers,
    measures are floats and never NaN; a measure without a value is left out. upto: the pane up to which the
    point is counted; of two points at one place, the one with the greater `upto` is newer.
    """

    measurement: str
    start: int
    tags: dict[str, str]
    counts: dict[str, int]
    measures: dict[str, float]
    texts: dict[str, str] = {}
    upto: int = 0

    def encode(self) -> bytes:
        """Encode as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Point:
        """Decode JSON. Unknown fields are ignored. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)
