"""The schema of `budget:`, a sum that may be spent in a period."""

from __future__ import annotations

from typing import Final

from llmvitals.rules.kinds.budget.burn_windows import MOST
from llmvitals.rules.kinds.budget.spec import SESSION, SPENT
from llmvitals.ruleschema.parts import (
    ABOVE_0,
    CHANCE,
    DURATION,
    INTEGER,
    SCOPE,
    SHARE,
    Schema,
    mapping,
    told,
    when,
)
from llmvitals.window import PERIODS

OFF: Final = ("off", False)
_PAIR: Final = mapping(
    {
        "factor": told(
            {"type": "number", "minimum": 0.01, "maximum": 10_000}, "How many times an even spend."
        ),
        "windows": told(
            {"type": "array", "items": DURATION, "minItems": 2, "maxItems": 2},
            "A long and a short one: [1h, 5m].",
        ),
    },
    required=("factor", "windows"),
)
_OF_SESSIONS: Final[Schema] = {
    "anyOf": [{"const": SESSION}, {"contains": {"const": SESSION}, "type": "array"}]
}
_BUDGET: Final[Schema] = {
    "metric": told({"enum": list(SPENT)}, "What is spent: dollars, tokens or calls.", default="cost"),
    "limit": told(ABOVE_0, "What may be spent: dollars, tokens or calls."),
    "per": told({"enum": [*PERIODS, SESSION]}, "The calendar period, in `timezone`; or session."),
    "rolling": told(DURATION, "In place of `per`: always the last so long, such as 24h; at most 31d."),
    "idle": told(DURATION, "With per: session: a session that is silent for so long is over.", default="30m"),
    "timezone": told({"$ref": "#/$defs/zone"}, "Where the period begins.", default="UTC"),
    "overrides": told(
        {"type": "object", "additionalProperties": ABOVE_0},
        "Another limit for one value of `by`: {search: 2000}.",
    ),
    "thresholds": told(
        {"type": "array", "items": SHARE, "minItems": 1, "uniqueItems": True},
        "Shares of the limit at which it speaks, ascending; each once a period.",
        default=["50%", "80%", "95%", "100%"],
    ),
    "burn_rate": told(
        {
            "anyOf": [
                {"enum": ["default", *OFF]},
                {"type": "array", "items": _PAIR, "minItems": 1, "maxItems": MOST},
            ]
        },
        "Speak when money goes so fast that it can't last: default, off, or pairs of windows.",
        default="off",
    ),
    "floor": told(ABOVE_0, "What has to be spent in the long window before burn_rate speaks."),
    "forecast": told(
        {"anyOf": [CHANCE, {"enum": list(OFF)}]},
        "Speak when the chance to overrun passes this.",
        default="off",
    ),
    "verdict": told({"enum": ["warn", "block"]}, "What gateways shall do when it is spent."),
    "block_at": told(
        SHARE, "With verdict: block: the threshold from which on calls are blocked.", default="100%"
    ),
}


def budget() -> Schema:
    """What stands under `budget:`."""
    return told(
        mapping(
            {**_BUDGET, **SCOPE},
            required=("limit",),
            oneOf=[{"required": ["per"]}, {"required": ["rolling"]}],
            allOf=[
                when("per", [SESSION], {"timezone": False, "by": _OF_SESSIONS}, {"idle": False}),
                when("per", ["hour"], {"burn_rate": {"enum": list(OFF)}}, {}),
                when("metric", ["tokens", "calls"], dict.fromkeys(("limit", "floor"), INTEGER), {}),
                {"if": {"required": ["rolling"]}, "then": {"properties": {"timezone": False}}},
            ],
            dependentRequired={
                "overrides": ["by"],
                "floor": ["burn_rate"],
                "block_at": ["verdict"],
                "forecast": ["per"],
            },
        ),
        "A sum that may be spent in a period.",
    )
