"""The JSON Schema (2020-12) of a rule file and the table of a kind's fields, both made from the models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from llmvitals.rules.condition.fields import Schema, model_schema
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.models import File, Group, RuleModel
from llmvitals.rules.notify_models import InhibitModel, MuteModel, NotifyModel, RouteModel

if TYPE_CHECKING:
    from llmvitals.rules.condition.kind import Kind

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_LASTING: Final = ("for", "keep_firing_for", "no_data")
"""Fields that only rules of lasting kinds take."""


def rule_schema() -> Schema:
    """The JSON Schema of a rule file. It accepts every valid file, and rejects most invalid ones."""
    definitions: Schema = {}
    file, group = model_schema(File, definitions), model_schema(Group, definitions)
    group["properties"]["rules"]["items"] = _rule(definitions)
    file["properties"]["groups"]["items"] = group
    file["properties"]["notify"] |= _notify(definitions)
    return {"$schema": DIALECT, "title": "llmvitals rules", **file, "$defs": definitions}


def _rule(definitions: Schema) -> Schema:
    rule = model_schema(RuleModel, definitions)
    rule["properties"] |= {name: model_schema(kind, definitions) for name, kind in KINDS.items()}
    brief = [{"required": [name]} for name, kind in KINDS.items() if not kind.lasting]
    return {
        **rule,
        "oneOf": [{"required": [name]} for name in KINDS],
        "allOf": [{"if": {"anyOf": brief}, "then": {"properties": dict.fromkeys(_LASTING, False)}}],
    }


def _notify(definitions: Schema) -> Schema:
    section = model_schema(NotifyModel, definitions)
    for name, shape in (("routes", RouteModel), ("inhibit", InhibitModel), ("mute_times", MuteModel)):
        section["properties"][name]["items"] = model_schema(shape, definitions)
    del section["description"]
    return section


def field_table(kind: type[Kind]) -> str:
    """A Markdown table of a kind's fields: name, what it is, default."""
    schema = model_schema(kind, {})
    lines = [
        f"`{kind.kind}`: {schema['description']}",
        "",
        "| field | what it is | default |",
        "|---|---|---|",
    ]
    fields = schema["properties"]
    for name in sorted(fields, key=("by", "where").__contains__):
        field = fields[name]
        default = "required" if name in schema.get("required", ()) else _written(field.get("default"))
        lines.append(f"| `{name}` | {field['description'].replace('|', chr(92) + '|')} | {default} |")
    return "\n".join(lines)


def _written(default: object) -> str:
    """A default, as it is written in rules."""
    if default is None:
        return ""
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"
