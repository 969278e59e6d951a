"""One series in one window, as it lies on `llm.vitals.v1`: what the sinks write."""

from __future__ import annotations

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point of a measurement (InfluxDB), a row of a table (SQLite).

    start: the window's start, µs. tags: `view`, `window` and the view's dimensions. counts are integers,
    measures are floats and never NaN; a measure that does not exist yet is left out.
    upto: the pane up to which it is counted: of two points at one place, the greater one is the newer.
    """

    measurement: str
    start: int
    tags: dict[str, str]
    counts: dict[str, int]
    measures: dict[str, float]
    texts: dict[str, str] = {}
    upto: int = 0

    def encode(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Point:
        """Back from JSON; unknown fields are ignored. Raises msgspec.ValidationError."""
        return msgspec.json.decode(data, type=cls)
