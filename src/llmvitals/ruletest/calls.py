"""One line of `calls` → the calls that it stands for, each field looked at as producers' events are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from llmvitals.errors import suggestion
from llmvitals.record.call import CallEvent
from llmvitals.ruletest.case import Calls
from llmvitals.ruletest.shape import CallsShape
from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.rules.form import Form
    from llmvitals.rules.yaml_places import Path

DEFAULTS: Final = {"provider": "openai", "model": "gpt-5-mini"}
"""Of a call that doesn't say."""
SHORT: Final = {"cost": "cost_usd", "latency": "latency_ms", "ttft": "ttft_ms"}
"""How tests may write a field: dollars, and times as durations."""
MOST: Final = 500_000
"""Calls of a test."""
MADE: Final = ("ts", "schema_version", "input_text", "output_text")
"""Fields that a test doesn't write."""
_LISTS: Final = frozenset(("guardrails", "tools"))
"""Fields that are lists themselves: a list of lists cycles."""


def calls(form: Form, data: Any, path: Path) -> Calls | None:
    """The calls of a line, or None when something in it is wrong, which the form knows then."""
    if not form.mapping(data, path):
        return None
    own = ("at", "every")
    shape = form.read(CallsShape, {key: data[key] for key in data if key in own}, path)
    fields = {name: [value] for name, value in DEFAULTS.items()}
    fine = True
    for key, value in data.items():
        if key not in own:
            found = _field(form, key, value, (*path, key))
            fine = fine and bool(found)
            fields[SHORT.get(key, key)] = found
    if shape is None or not fine:
        return None
    begin, end = shape.at
    made = Calls(begin, begin + 1 if end is None else end, shape.every or 1, fields)
    if made.count > MOST:
        form.wrong(f"{made.count:,} calls are too many: at most {MOST:,}, so write a longer every", path)
        return None
    return made


def _field(form: Form, key: str, value: Any, path: Path) -> list[Any]:
    """The values that a field cycles through; [] when one is wrong."""
    name = SHORT.get(key, key)
    if name in MADE or name not in CallEvent.model_fields:
        names = [*SHORT, *(field for field in CallEvent.model_fields if field not in MADE)]
        cure = "leave it out" if name in MADE else suggestion(key, names)[2:]
        form.wrong(f"{key!r} is no field of a call in a test: {cure}", path, key=True)
        return []
    cycles = isinstance(value, list) and (name not in _LISTS or all(isinstance(one, list) for one in value))
    values = value if cycles else [value]
    if not values:
        form.wrong("an empty list: write the values that the calls cycle through", path)
    found = []
    for number, one in enumerate(values):
        place = (*path, number) if cycles else path
        try:
            found.append(_checked(key, one))
        except ValueError as error:
            form.wrong(f"{key}: {one!r} does not fit: {_reason(error)}", place)
    return found if len(found) == len(values) else []


def _checked(key: str, value: Any) -> Any:
    name = SHORT.get(key, key)
    if key in ("latency", "ttft"):
        value = duration(value) / 1_000
    CallEvent.model_validate(DEFAULTS | {"id": "a", "ts": 0, name: value})
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        return said[:1].lower() + said[1:]
    return str(error)
