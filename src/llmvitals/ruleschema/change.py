"""The schema of `change:`, any metric that is suddenly not what it was."""

from __future__ import annotations

from typing import Final

from llmvitals.rules.kinds.change.minutes import CHANGING
from llmvitals.ruleschema.parts import (
    DURATION,
    FALSE_ALARMS,
    MIN_CALLS,
    PROMISE,
    SCOPE,
    Schema,
    mapping,
    told,
)

_METRIC: Final[Schema] = {
    "type": "string",
    "anyOf": [{"enum": list(CHANGING)}, {"pattern": r"^score\.\S{1,64}_mean$"}],
}
_CHANGE: Final[Schema] = {
    "metrics": told(
        {
            "anyOf": [
                {"const": "all"},
                _METRIC,
                {
                    "type": "array",
                    "items": _METRIC,
                    "minItems": 1,
                    "maxItems": 50,
                    "uniqueItems": True,
                },
            ]
        },
        "Shares, means and percentiles that are looked at; default: see docs/change.md.",
        default="all",
    ),
    "min_calls": told(MIN_CALLS, "Minutes with fewer calls are left out.", default=10),
    **PROMISE,
    "false_alarms": told(
        FALSE_ALARMS, "How many it may give in a month, all its series and metrics together.", default=1
    ),
    "hold": told(DURATION, "How long a change is told; 10m to 24h.", default="1h"),
}


def change() -> Schema:
    """What stands under `change:`."""
    return told(
        mapping({**_CHANGE, **SCOPE}),
        "Any metric that is suddenly not what it was, all of them in one digest.",
    )
