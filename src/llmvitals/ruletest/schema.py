"""The JSON Schema (2020-12) of a file of rule tests, `*_test.yaml`, made from the models."""

from __future__ import annotations

from typing import Final

from llmvitals.record.call import call_schema
from llmvitals.rules.condition.fields import DURATION, NUMBER, Schema, model_schema
from llmvitals.rules.schema import DIALECT
from llmvitals.ruletest.load import MADE, SHORT
from llmvitals.ruletest.models import (
    AlertModel,
    CallsModel,
    CaseModel,
    ExpectModel,
    FileModel,
    MessageModel,
    facets,
)

_SHORT: Final[dict[str, Schema]] = {"cost": NUMBER, "latency": DURATION, "ttft": DURATION}


def rule_test_schema() -> Schema:
    """The JSON Schema of a file of tests."""
    events = call_schema()
    definitions: Schema = events["$defs"]
    file, case, calls, expect, alert, message = (
        model_schema(shape, definitions)
        for shape in (FileModel, CaseModel, CallsModel, ExpectModel, AlertModel, MessageModel)
    )
    alert["properties"]["facet"]["enum"] = list(facets())
    expect["properties"]["alerts"]["items"] = alert
    expect["properties"]["messages"]["items"] = message
    calls["properties"] |= _calls(events["properties"])
    case["properties"]["calls"]["items"] = calls
    case["properties"]["expect"]["items"] = expect
    file["properties"]["tests"]["items"] = case
    return {"$schema": DIALECT, "title": "llmvitals tests of rules", **file, "$defs": definitions}


def _calls(events: Schema) -> Schema:
    """Each field of a call, or a list of values that the calls cycle through."""
    fields = {name: field for name, field in events.items() if name not in MADE}
    short = {name: {**_SHORT[name], "description": f"Short for {full}."} for name, full in SHORT.items()}
    return {
        name: {
            **{key: field[key] for key in ("description",) if key in field},
            "anyOf": [field, {"type": "array", "items": field, "minItems": 1}],
        }
        for name, field in {**fields, **short}.items()
    }
