"""The schema of `drift:`, calls that are about something else than they were."""

from __future__ import annotations

from typing import Final

from llmvitals.ruleschema.parts import DURATION, PROMISE, SCOPE, Schema, mapping, told

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
    **PROMISE,
}


def drift() -> Schema:
    """What stands under `drift:`."""
    return told(mapping({**_DRIFT, **SCOPE}), "Calls that are about something else than they were.")
