"""The schema of `canary:`, the newest value of a dimension against the one before it."""

from __future__ import annotations

from typing import Final

from llmvitals.record.view import COUNTLESS
from llmvitals.rules.kinds.canary.endpoints import METRICS
from llmvitals.rules.kinds.canary.spec import OUTCOMES
from llmvitals.ruleschema.parts import DIMENSION, SCOPE, SERIES, SHARE, Schema, mapping, told

_METRIC: Final[Schema] = {
    "type": "string",
    "anyOf": [{"enum": list(METRICS)}, {"pattern": r"^score\.\S{1,100}$"}],
}
_VALUE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
_HALF: Final = r"^(?!0*\.?0*\s*%)0*(50(\.0*)?|[0-4]?[0-9]?(\.[0-9]{0,2}0*)?)\s*%$"
_CANARY: Final[Schema] = {
    "on": told(
        {**DIMENSION, "not": {"enum": sorted({*OUTCOMES, *COUNTLESS})}},
        "The dimension whose values are compared, such as prompt_version or model.",
    ),
    "canary": told(_VALUE, "The new value; default: the newest one that takes part."),
    "control": told(_VALUE, "The value it is held against; default: the most used that was there before."),
    "metrics": told(
        {
            "anyOf": [
                _METRIC,
                {"type": "array", "items": _METRIC, "minItems": 1, "uniqueItems": True},
            ]
        },
        "What must not get worse; default: all.",
    ),
    "alpha": told(
        SHARE | {"pattern": _HALF},
        "The chance that a canary that is no worse alarms, at any time; at most 50%.",
        default="1%",
    ),
    "effect": told(
        SHARE | {"pattern": r"^0*(1000(\.0*)?|[0-9]{0,3}(\.[0-9]{0,2}0*)?)\s*%$"},
        "The least worsening that counts, of what the control has.",
        default="0%",
    ),
    "series": told(SERIES, "For how many canaries together alpha is promised.", default=1),
}


def canary() -> Schema:
    """What stands under `canary:`."""
    return told(
        mapping({**_CANARY, **SCOPE}, required=("on",)),
        "A new prompt version, model or any other value that is worse than the one before it.",
    )
