"""The types of fields in rule files, each with the JSON Schema of what people write."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypeAliasType

from llmvitals.errors import suggestion
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.window import DAY, SECOND, duration

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import core_schema

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
SCORE_MEAN: Final = r"^score\.\S{1,64}_mean$"
_names = lru_cache(available_timezones)


def zone(name: Any) -> ZoneInfo:
    """The time zone of this name, such as Europe/Berlin. Raises ValueError with a suggestion."""
    if not isinstance(name, str) or name not in _names():
        near = suggestion(str(name), _names())
        raise ValueError(
            f"{name!r} is no time zone{near if 'did you' in near else ': write one such as Europe/Berlin'}"
        )
    return ZoneInfo(name)


def limit_schema(unit: Unit) -> Schema:
    """The schema of a limit for a metric of this unit."""
    return {"ms": DURATION, "share": PART}.get(unit, NUMBER)


def when(key: str, values: list[str], then: Schema, other: Schema | None = None) -> Schema:
    """If the key has one of the values, the properties have to match `then`, else `other`."""
    found: Schema = {
        "if": {"properties": {key: {"enum": values}}, "required": [key]},
        "then": {"properties": then},
    }
    return {**found, "else": {"properties": other}} if other else found


def pane_of(info: ValidationInfo) -> int:
    """The pane's length (µs) that a model is validated for."""
    return int(info.context["pane"]) if info.context else SECOND


def _window(value: Any, info: ValidationInfo) -> int:
    length = duration(value)
    if length > DAY:
        raise ValueError(f"{value} is too long: at most 24h; a budget with `rolling` can be longer")
    bucket_length(length, pane_of(info))
    return length


Window = Annotated[
    int,
    BeforeValidator(_window),
    WithJsonSchema(DURATION),
    Field(description="How far back it looks; at most 24h."),
]
"""The length (µs) of a trailing window."""
MinCalls = Annotated[int, Field(ge=1, le=1_000_000)]
Zone = TypeAliasType(
    "Zone",
    Annotated[Any, BeforeValidator(zone), WithJsonSchema({"enum": sorted(available_timezones())})],
)
"""A time zone (a ZoneInfo), by its name."""


class _Generator(GenerateJsonSchema):
    """Describes what people write: never null, and no empty defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        found = super().default_schema(schema)
        if not found.get("default", True):
            del found["default"]
        return found


def model_schema(model: type[BaseModel], definitions: Schema) -> Schema:
    """The JSON Schema of a model; the models that it refers to are added to the definitions."""
    schema = model.model_json_schema(schema_generator=_Generator)
    definitions |= schema.pop("$defs", {})
    del schema["title"]
    return schema | {"description": (model.__doc__ or "").partition("\n")[0]}
