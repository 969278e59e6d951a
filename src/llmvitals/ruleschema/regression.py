"""The schema of `regression:`, a metric that got worse than at the same hours of past weeks."""

from __future__ import annotations

from typing import Final

from llmvitals.metrics.registry import COMPARABLE
from llmvitals.rules.kinds.regression.spec import AGAINST, DIRECTIONS
from llmvitals.ruleschema.parts import MIN_CALLS, PROMISE, SCOPE, SHARE, Schema, mapping, told

_SCORE: Final = r"^score\.\S{1,64}_mean$"
_EFFECT: Final[Schema] = {
    "type": "string",
    "pattern": r"^0*([1-9][0-9]{0,2}(\.[0-9]{0,2}0*)?|1000(\.0*)?)\s*%$",
    "examples": SHARE["examples"],
}
_REGRESSION: Final[Schema] = {
    "metric": told(
        {"type": "string", "anyOf": [{"enum": list(COMPARABLE)}, {"pattern": _SCORE}]},
        "The statistic that is compared.",
    ),
    "against": told(
        {"enum": list(AGAINST)}, "The same hours of past weeks, or of past days.", default="weeks"
    ),
    "past": told({"type": "integer"}, "How many weeks or days are looked back to; default: 4 or 7."),
    "effect": told(
        _EFFECT, "The least change that counts, of what is usual; default: 20%, or 10% of a score."
    ),
    "direction": told({"enum": list(DIRECTIONS)}, "Default: where the metric gets worse."),
    "min_calls": told(MIN_CALLS, "Hours with fewer calls are not compared with.", default=30),
    **PROMISE,
}


def regression() -> Schema:
    """What stands under `regression:`."""
    past = {
        against: {"past": {"minimum": least, "maximum": most}}
        for against, (_, _, least, most) in AGAINST.items()
    }
    days = {"properties": {"against": {"const": "days"}}, "required": ["against"]}
    return told(
        mapping(
            {**_REGRESSION, **SCOPE},
            required=("metric",),
            allOf=[{"if": days, "then": {"properties": past["days"]}, "else": {"properties": past["weeks"]}}],
        ),
        "A metric that is worse than at the same hours of past weeks or days.",
    )
