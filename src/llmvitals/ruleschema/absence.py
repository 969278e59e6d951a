"""The schema of `absence:`, calls that should be there."""

from __future__ import annotations

from typing import Final

from llmvitals.rules.kinds.absence.spec import EXPECTED
from llmvitals.ruleschema.parts import DURATION, MIN_CALLS, SCOPE, Schema, mapping, told

_ABSENCE: Final[Schema] = {
    "window": told(DURATION, "How long nothing has to be heard; at most 24h.", default="15m"),
    "expect": told(
        {"enum": list(EXPECTED)},
        "seasonal: only where past weeks had calls at this hour; always: by the pace before.",
        default="seasonal",
    ),
    "min_calls": told(MIN_CALLS, "How many calls the window should have held at least.", default=10),
}


def absence() -> Schema:
    """What stands under `absence:`."""
    return told(mapping({**_ABSENCE, **SCOPE}), "Calls that should be there and are not.")
