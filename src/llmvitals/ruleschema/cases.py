"""The JSON Schema (2020-12) of a file of rules' tests, `*_test.yaml`."""

from __future__ import annotations

from typing import Final

from llmvitals.record.call import call_schema
from llmvitals.rules.shape import SEVERITIES
from llmvitals.ruleschema.parts import DURATION, NAME, NUMBER, Schema, mapping, told
from llmvitals.ruletest.calls import MADE, SHORT

_TEXT: Final[Schema] = {"type": "string"}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": _TEXT}
_NAMES: Final[Schema] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_START: Final = told(
    {"type": "string", "pattern": r"^20[2-9][0-9]-.*([Zz]|[+-][0-9]{2}:?[0-9]{2})$"},
    "When it begins, with its offset: 2026-10-25T00:00:00+02:00.",
    default="2026-01-05T00:00:00Z",
)
_SPAN: Final[Schema] = {
    "type": "string",
    "pattern": r"^([0-9]+(ms|s|m|h|d|w))+(\.\.([0-9]+(ms|s|m|h|d|w))+)?$",
}


def case_schema() -> Schema:
    """The whole of it."""
    events = call_schema()
    case = mapping(
        {
            "name": told(NAME, "What shall hold."),
            "start": _START,
            "only": told(_NAMES, "Rules that are looked at; default: all."),
            "calls": told({"type": "array", "items": _calls(events)}, "The calls that come."),
            "expect": told({"type": "array", "items": _expect(), "minItems": 1}, "What has to hold."),
        },
        required=("name", "calls", "expect"),
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmvitals tests of rules",
        "description": "Calls in, alerts out, for the rules beside it.",
        **mapping(
            {
                "rules": told(_NAMES, "Files of rules; default: all of the folder."),
                "pane": told(DURATION, "The pane's length; default: the setting."),
                "start": _START,
                "tests": told({"type": "array", "items": case}, "The tests."),
            },
            required=("tests",),
        ),
        "$defs": events["$defs"],
    }


def _calls(events: Schema) -> Schema:
    """Each field of a call, or a list of values that the calls cycle through."""
    short: dict[str, Schema] = {"cost": NUMBER, "latency": DURATION, "ttft": DURATION}
    fields = {name: field for name, field in events["properties"].items() if name not in MADE}
    told_short = {name: told(short[name], f"Short for {full}.") for name, full in SHORT.items()}
    values = {
        name: {
            **{key: field[key] for key in ("description",) if key in field},
            "anyOf": [field, {"type": "array", "items": field, "minItems": 1}],
        }
        for name, field in {**fields, **told_short}.items()
    }
    return mapping(
        {
            "at": told(_SPAN, "When, after the start: 5m, or 0m..30m together with every."),
            "every": told(DURATION, "How often in that time."),
            **values,
        },
        required=("at",),
        allOf=[
            {
                "if": {"properties": {"at": {"pattern": r"\.\."}}},
                "then": {"required": ["every"]},
                "else": {"properties": {"every": False}},
            }
        ],
    )


def _expect() -> Schema:
    alert = mapping(
        {
            "alert": told(NAME, "The rule."),
            "status": told(
                {"enum": ["firing", "resolved"]}, "Whether it fires then, or is over.", default="firing"
            ),
            "labels": told(_TEXTS, "Some of its labels."),
            "severity": told({"enum": list(SEVERITIES)}, "How urgent it is."),
            "level": told(_TEXT, "A budget's threshold (80%), minor or major, ×2 …"),
            "facet": told({"enum": ["", "burn", "forecast"]}, "Which side of a budget speaks."),
            "verdict": told({"enum": ["", "warn", "block"]}, "What gateways shall do."),
            "summary": told(_TEXT, "The sentence that people read."),
            "note": told(_TEXT, "What its detector adds."),
            "cause": told(_TEXT, "The root-cause line."),
            "annotations": told(_TEXTS, "Some of its annotations."),
        },
        required=("alert",),
    )
    return mapping(
        {
            "at": told(DURATION, "After the start."),
            "alerts": told({"type": "array", "items": alert}, "Exactly these fire then; []: none does."),
            "never": told(_NAMES, "Rules that don't fire at any time."),
        },
        oneOf=[{"required": ["at", "alerts"]}, {"required": ["never"]}],
        dependentRequired={"at": ["alerts"], "alerts": ["at"]},
    )
