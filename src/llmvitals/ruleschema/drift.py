"""The schema of `drift:`, calls that are about something else than they were."""

from __future__ import annotations

from typing import Final

from llmvitals.ruleschema.parts import DURATION, SCOPE, Schema, mapping, told

_DRIFT: Final[Schema] = {
    "model": told(
        {"type": "string", "maxLength": 200, "examples": ["text-embedding-3-small"]},
        "Whose embeddings; default: the first that has enough calls.",
    ),
    "learn": told(DURATION, "How many minutes with calls it learns from; 1h to 4w.", default="2d"),
    "min_calls": told(
        {"type": "integer", "minimum": 2, "maximum": 1_000_000},
        "Embeddings that are looked at at once; minutes with fewer are put together.",
        default=10,
    ),
    "false_alarms": told(
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000},
        "How many it may give in a month, all its series together.",
        default=1,
    ),
    "series": told(
        {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        "For how many series that is meant.",
        default=100,
    ),
}


def drift() -> Schema:
    """What stands under `drift:`."""
    return told(mapping({**_DRIFT, **SCOPE}), "Calls that are about something else than they were.")
