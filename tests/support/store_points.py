"""Points and records for the tests of the stores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmvitals.record.log import Logged
from llmvitals.record.point import Point

HOUR = 3_600_000_000
NOW = 1_780_000_000
"""Seconds; 2026-05-28T20:26:40Z."""
START = NOW // 3_600 * HOUR


def point(**changes: Any) -> Point:
    """A point of team `search`, 1 h; keywords that are no field of Point go to its tags."""
    names = set(Point.__struct_fields__)
    tags = {"view": "team", "window": "1h", "team": "search"}
    tags |= {key: value for key, value in changes.items() if key not in names}
    fields: dict[str, Any] = {
        "measurement": "llm_calls",
        "start": START,
        "tags": tags,
        "counts": {"calls": 4, "errors": 1, "input_tokens": 100, "output_tokens": 20},
        "measures": {"cost_usd": 0.25},
        "upto": 1,
    }
    return Point(**fields | {key: value for key, value in changes.items() if key in names})


def records(points: Iterable[Point | bytes]) -> list[Logged]:
    """Each as a record of the vitals topic."""
    values = (value if isinstance(value, bytes) else value.encode() for value in points)
    return [Logged(offset, 0, value) for offset, value in enumerate(values)]


INJECTIONS = [
    "a\nllm_calls,view=x calls=1i 1",
    "a\r\nllm_calls calls=1i",
    "a,team=other",
    "a team=b calls=9i 1",
    "a=b",
    "a\\",
    "a\\\\",
    "a\\,team=x",
    "a\\ calls=9i",
    'a" calls=9i',
    '"',
    "#comment",
    "a\x00b",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "\ud800",
    " ",
    ",",
    "=",
    "\t",
    "é,=\u202e",
    "x" * 100_000,
]
"""Tags that would be more than a tag if they were not escaped."""
