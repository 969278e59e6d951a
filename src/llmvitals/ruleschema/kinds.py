"""The schema of each kind of condition: what its model accepts, in the words that people write."""

from __future__ import annotations

from typing import Any, Final

from llmvitals.detect.absence import EXPECTED
from llmvitals.detect.budget import SESSION, SPENT
from llmvitals.detect.burn import MOST
from llmvitals.detect.metric import METRICS
from llmvitals.record.alert import Unit
from llmvitals.ruleschema.parts import (
    ABOVE_0,
    BY,
    CHANCE,
    CONDITION,
    DURATION,
    INTEGER,
    NUMBER,
    PART,
    SHARE,
    WHERE,
    ZONE,
    Schema,
    limit,
    mapping,
    told,
)
from llmvitals.window import PERIODS

_SCORE: Final = r"^score\.\S{1,64}_mean$"
_SCOPE: Final[Schema] = {
    "by": told(
        BY, "One series for each value of these dimensions, such as [team]; none: all calls together."
    ),
    "where": told(WHERE, "The calls that it is about, such as {environment: prod}."),
}
_WINDOW: Final = told(DURATION, "How far back it looks; at most 24h.")
_MIN_CALLS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_OFF: Final = ("off", False)
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
                {"enum": ["default", *_OFF]},
                {"type": "array", "items": _PAIR, "minItems": 1, "maxItems": MOST},
            ]
        },
        "Speak when money goes so fast that it can't last: default, off, or pairs of windows.",
        default="off",
    ),
    "floor": told(ABOVE_0, "What has to be spent in the long window before burn_rate speaks."),
    "forecast": told(
        {"anyOf": [CHANCE, {"enum": list(_OFF)}]},
        "Speak when the chance to overrun passes this.",
        default="off",
    ),
    "verdict": told({"enum": ["warn", "block"]}, "What gateways shall do when it is spent."),
    "block_at": told(
        SHARE, "With verdict: block: the threshold from which on calls are blocked.", default="100%"
    ),
}
_THRESHOLD: Final[Schema] = {
    "metric": told(
        {"type": "string", "anyOf": [{"enum": list(METRICS)}, {"pattern": _SCORE}]},
        "The statistic that is watched.",
    ),
    "above": told({}, "The limit, in the metric's unit: 4s, 20%, dollars or a number."),
    "below": told({}, "The limit from below."),
    "window": told(_WINDOW, _WINDOW["description"], default="5m"),
    "min_calls": told(_MIN_CALLS, "With fewer calls in the window nothing is said.", default=20),
    "resolve_below": told({}, "With above: it is over below this."),
    "resolve_above": told({}, "With below: it is over above this."),
}
_OF_SESSIONS: Final[Schema] = {
    "anyOf": [{"const": SESSION}, {"contains": {"const": SESSION}, "type": "array"}]
}
_NO_FATE: Final[Schema] = {"not": {"enum": ["error_type", "status"]}}
_OUTAGE: Final[Schema] = {
    "window": told(_WINDOW, _WINDOW["description"], default="1m"),
    "minor": told(CHANCE, "The share of failed calls from which on it is an outage.", default="20%"),
    "major": told(PART, "…and a major one, which is critical.", default="60%"),
    "resolve_below": told(CHANCE, "It is over below this; by default half of minor."),
    "min_calls": told(_MIN_CALLS, "With fewer calls in the window nothing is said.", default=10),
    "errors": told(
        {"$ref": "#/$defs/condition"}, "The error_types that are the provider's fault; default: any."
    ),
}
_ABSENCE: Final[Schema] = {
    "window": told(DURATION, "How long nothing has to be heard; at most 24h.", default="15m"),
    "expect": told(
        {"enum": list(EXPECTED)},
        "seasonal: only where past weeks had calls at this hour; always: by the pace before.",
        default="seasonal",
    ),
    "min_calls": told(_MIN_CALLS, "How many calls the window should have held at least.", default=10),
}
_RUNAWAY: Final[Schema] = {
    "window": told(_WINDOW, _WINDOW["description"], default="10m"),
    "spend": told(ABOVE_0, "Dollars within the window."),
    "same_tool": told(
        {"type": "integer", "minimum": 2, "maximum": 1_000_000},
        "So many calls of one tool with the same arguments.",
    ),
    "signatures": told(
        mapping(
            {
                "calls": told({"type": "integer", "minimum": 2, "maximum": 1_000_000}, "So many tool calls…"),
                "at_most": told(
                    {"type": "integer", "minimum": 1, "maximum": 20}, "…of at most so many kinds."
                ),
            },
            required=("calls", "at_most"),
        ),
        "Many tool calls of few kinds: a loop.",
    ),
}


def kinds() -> dict[str, Schema]:
    """Key of a kind → the schema of what stands under it."""
    return {
        "budget": told(
            mapping(
                {**_BUDGET, **_SCOPE},
                required=("limit",),
                oneOf=[{"required": ["per"]}, {"required": ["rolling"]}],
                allOf=[
                    _if("per", [SESSION], {"timezone": False, "by": _OF_SESSIONS}, {"idle": False}),
                    _if("per", ["hour"], {"burn_rate": {"enum": list(_OFF)}}, {}),
                    _if("metric", ["tokens", "calls"], dict.fromkeys(("limit", "floor"), INTEGER), {}),
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
        ),
        "threshold": told(
            mapping(
                {**_THRESHOLD, **_SCOPE},
                required=("metric",),
                oneOf=[{"required": ["above"]}, {"required": ["below"]}],
                allOf=_limits(),
                dependentRequired={"resolve_below": ["above"], "resolve_above": ["below"]},
            ),
            "A statistic over a trailing window against a fixed limit.",
        ),
        "outage": told(
            mapping({**_SCOPE, **_OUTAGE}, allOf=[{"properties": {"where": {"propertyNames": _NO_FATE}}}]),
            "A provider that fails: minor and major.",
        ),
        "absence": told(mapping({**_ABSENCE, **_SCOPE}), "Calls that should be there and are not."),
        "runaway": told(
            mapping(
                {**_RUNAWAY, **_SCOPE},
                allOf=[{"properties": {"by": {"minItems": 1}}}],
                anyOf=[{"required": [name]} for name in ("spend", "same_tool", "signatures")],
            ),
            "A session, user or key that spends too much, or calls the same tools over and over.",
        ),
    }


def _limits() -> list[Schema]:
    """What a limit looks like depends on the metric's unit."""
    sides = ("above", "below", "resolve_below", "resolve_above")
    units: dict[Unit, list[str]] = {}
    for name, metric in METRICS.items():
        units.setdefault(metric.unit, []).append(name)
    found = [_if("metric", names, dict.fromkeys(sides, limit(unit)), {}) for unit, names in units.items()]
    found.append(_if("metric", ["calls", "calls_per_s"], {"below": False}, {}))
    score = {"properties": {"metric": {"pattern": _SCORE}}}
    return [*found, {"if": score, "then": {"properties": dict.fromkeys(sides, NUMBER)}}]


def _if(key: str, values: list[str], then: Schema, other: Schema) -> Schema:
    condition = {"properties": {key: {"enum": values}}, "required": [key]}
    found: dict[str, Any] = {"if": condition, "then": {"properties": then}}
    return {**found, "else": {"properties": other}} if other else found


DEFINITIONS: Final[Schema] = {"condition": CONDITION, "zone": ZONE}
