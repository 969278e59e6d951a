"""Reads one entry of `calls` in a test, and validates its fields as events of producers are validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from llmvitals.errors import suggestion
from llmvitals.record.call import CallEvent
from llmvitals.ruletest.models import CallsModel
from llmvitals.ruletest.rule_test import CallStream
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.rules.model_reader import ModelReader
    from llmvitals.rules.yaml_reader import Path

DEFAULTS: Final = {"provider": "openai", "model": "gpt-5-mini"}
"""The defaults of a call's fields."""
SHORT: Final = {"cost": "cost_usd", "latency": "latency_ms", "ttft": "ttft_ms"}
"""Short names of fields in tests: dollars, and times as durations."""
MOST: Final = 500_000
"""The most calls of an entry."""
MADE: Final = ("ts", "schema_version", "input_text", "output_text")
"""Fields that a test cannot set."""
_LISTS: Final = frozenset(("guardrails", "tools"))
"""Fields whose value is a list; a list of lists is cycled through."""


def read_calls(reader: ModelReader, data: Any, path: Path) -> CallStream | None:
    """The calls of an entry, or None after the reader has reported mistakes."""
    if not reader.is_mapping(data, path):
        return None
    own = CallsModel.model_fields
    shape = reader.read(CallsModel, {key: data[key] for key in data if key in own}, path)
    fields = {name: [value] for name, value in DEFAULTS.items()}
    valid = True
    for key, value in data.items():
        if key not in own:
            values = _field(reader, key, value, (*path, key))
            valid = valid and bool(values)
            fields[SHORT.get(key, key)] = values
    if shape is None or not valid:
        return None
    begin, end = shape.at
    made = CallStream(begin, begin + 1 if end is None else end, shape.every or 1, fields, shape.late)
    if made.count > MOST:
        reader.report(f"{made.count:,} calls are too many: at most {MOST:,}; write a longer every", path)
        return None
    return made


def _field(reader: ModelReader, key: str, value: Any, path: Path) -> list[Any]:
    """The values that a field cycles through; [] after a mistake was reported."""
    name = SHORT.get(key, key)
    if name in MADE or name not in CallEvent.model_fields:
        names = [*SHORT, *(field for field in CallEvent.model_fields if field not in MADE)]
        cure = "leave it out" if name in MADE else suggestion(key, names)[2:]
        reader.report(f"{key!r} is not a field of a call in a test: {cure}", path, key=True)
        return []
    cycles = isinstance(value, list) and (name not in _LISTS or all(isinstance(one, list) for one in value))
    values = value if cycles else [value]
    if not values:
        reader.report("an empty list: write the values that the calls cycle through", path)
    found = []
    for number, one in enumerate(values):
        place = (*path, number) if cycles else path
        try:
            found.append(_checked(key, one))
        except ValueError as error:
            reader.report(f"{key}: {one!r} does not fit: {_reason(error)}", place)
    return found if len(found) == len(values) else []


def _checked(key: str, value: Any) -> Any:
    name = SHORT.get(key, key)
    if key in ("latency", "ttft"):
        value = duration(value) / 1_000
    CallEvent.model_validate(DEFAULTS | {"id": "a", "ts": 0, name: value})
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return message[:1].lower() + message[1:]
    return str(error)
