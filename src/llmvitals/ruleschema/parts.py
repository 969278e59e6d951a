"""What values look like in a rule file: the pieces that its schema is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from llmvitals.record.pattern import LONGEST as LONGEST_REGEX
from llmvitals.record.view import DIMENSIONS

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

Schema = dict[str, Any]

DURATION: Final[Schema] = {
    "type": "string",
    "pattern": "^([0-9]+(ms|s|m|h|d|w))+$",
    "examples": ["30s", "5m", "1h30m"],
}
INTEGER: Final[Schema] = {"type": "integer", "minimum": 1}
SHARE: Final[Schema] = {
    "type": "string",
    "pattern": r"^([0-9]+(\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)\s*%$",
    "examples": ["80%", "0.5%"],
}
PART: Final[Schema] = SHARE | {"pattern": r"^(100(\.0*)?|[0-9]{0,2}(\.[0-9]{0,2}0*)?)\s*%$"}
"""A share of at most 100 %."""
CHANCE: Final[Schema] = PART | {"pattern": r"^(?!0*\.?0*\s*%)[0-9]{0,2}(\.[0-9]{0,2}0*)?\s*%$"}
"""A share above 0 % and below 100 %."""
NUMBER: Final[Schema] = {"type": "number", "minimum": 0}
ABOVE_0: Final[Schema] = {"type": "number", "exclusiveMinimum": 0}
CHANNEL: Final[Schema] = {
    "type": "string",
    "pattern": r"^(#[^\s#@<>&,]{1,80}|[CGD][A-Z0-9]{6,20})$",
    "examples": ["#llm-alerts"],
}
_UNSEEN: Final = "\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2064\\ufeff"
NAME: Final[Schema] = {
    "type": "string",
    "maxLength": 100,
    "pattern": rf"^(?=.*\S)[^{_UNSEEN}]+$",
}
ZONE: Final[Schema] = {"enum": sorted(available_timezones())}
LABELS: Final[Schema] = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
CLOCK: Final[Schema] = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
DIMENSION: Final[Schema] = {
    "type": "string",
    "anyOf": [{"enum": list(DIMENSIONS)}, {"pattern": r"^tags\.[A-Za-z0-9_.-]{1,64}$"}],
}
MATCHERS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "string",
        "pattern": r"^\s*[A-Za-z_][A-Za-z0-9_.]{0,80}\s*(=~|!~|!=|=)(?![=~])",
        "maxLength": 341,
    },
    "minItems": 1,
    "maxItems": 20,
    "examples": [["severity=critical", "team=~search|ads"]],
}


def when(key: str, values: list[str], then: Schema, other: Schema) -> Schema:
    """Where the key has one of the values, other properties are as `then` says; else as `other` does."""
    condition = {"properties": {key: {"enum": values}}, "required": [key]}
    found: dict[str, Any] = {"if": condition, "then": {"properties": then}}
    return {**found, "else": {"properties": other}} if other else found


def mapping(properties: Schema, *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """A mapping of just these keys."""
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **needs, **more}


def told(schema: Schema, description: str, **more: Any) -> Schema:
    """The same with a description, which editors show."""
    return {**schema, "description": description, **more}


def limit(unit: Unit) -> Schema:
    """A limit of a metric of this unit."""
    return {"ms": DURATION, "share": PART}.get(unit, NUMBER)


REGEX: Final[Schema] = {"type": "string", "maxLength": LONGEST_REGEX}
CONDITION: Final[Schema] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        mapping({"not": {"$ref": "#/$defs/condition"}}, required=("not",)),
        mapping({"regex": told(REGEX, "Matches the whole value.")}, required=("regex",)),
    ]
}
BY: Final[Schema] = {
    "anyOf": [DIMENSION, {"type": "array", "items": DIMENSION, "maxItems": 4, "uniqueItems": True}]
}
WHERE: Final[Schema] = {
    "type": "object",
    "propertyNames": DIMENSION,
    "additionalProperties": {"$ref": "#/$defs/condition"},
}
SCOPE: Final[Schema] = {
    "by": told(
        BY, "One series for each value of these dimensions, such as [team]; none: all calls together."
    ),
    "where": told(WHERE, "The calls that it is about, such as {environment: prod}."),
}
WINDOW: Final = told(DURATION, "How far back it looks; at most 24h.")
MIN_CALLS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
FALSE_ALARMS: Final[Schema] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000}
SERIES: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
PROMISE: Final[Schema] = {
    "false_alarms": told(
        FALSE_ALARMS, "How many it may give in a month, all its series together.", default=1
    ),
    "series": told(SERIES, "For how many series that is meant.", default=100),
}
"""How many false alarms a rule may give (detect/promise)."""
