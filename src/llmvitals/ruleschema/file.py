"""The schema of a rule file: groups of rules, and the `notify:` section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.rules.engine import KINDS
from llmvitals.rules.shape import LONGEST_TEXT, NO_DATA, OWN, SEVERITIES
from llmvitals.rules.templates import NAMES
from llmvitals.ruleschema.kinds import DEFINITIONS, kinds
from llmvitals.ruleschema.notify import notify
from llmvitals.ruleschema.parts import CHANNEL, DURATION, NAME, Schema, mapping, told

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT: Final[Schema] = {"type": "string", "maxLength": LONGEST_TEXT}
_SPOKEN: Final[Schema] = _TEXT | {
    "pattern": r"^([^{}]|\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*|tags\.[A-Za-z0-9_.-]+)\})*$"
}
_NAMES: Final = ", ".join(f"{{{name}}}" for name in NAMES)
_TEMPLATE: Final = f"May hold {_NAMES}, the rule's labels and its dimensions, such as {{team}}."
_LABEL_NAME: Final[Schema] = {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$", "not": {"enum": list(OWN)}}
_LABELS: Final = told(
    {
        "type": "object",
        "properties": {"severity": told({"enum": list(SEVERITIES)}, "How urgent it is.", default="warning")},
        "propertyNames": _LABEL_NAME,
        "additionalProperties": _TEXT,
    },
    "Names and texts that routes and silences can match.",
)
_ANNOTATIONS: Final = told(
    {
        "type": "object",
        "properties": {
            "summary": told(_SPOKEN, f"The sentence that people read. {_TEMPLATE}"),
            "description": told(_SPOKEN, f"More about it. {_TEMPLATE}"),
            "runbook_url": told(_TEXT, "What to do: a link.", pattern="^https?://"),
        },
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
        "additionalProperties": _TEXT,
    },
    "What an alert says.",
)


def rule_schema() -> Schema:
    """The whole of it. It accepts every file that is right, and knows most of what makes one wrong."""
    group = mapping(
        {
            "name": told(NAME, "What these rules are about."),
            "labels": told(_LABELS, "Labels of all rules of the group."),
            "rules": told({"type": "array", "items": _rule()}, "The rules."),
        },
        required=("name", "rules"),
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmvitals rules",
        "description": "A file of alert rules. Beside it, in *_test.yaml, stand its tests.",
        **mapping(
            {
                "groups": told({"type": "array", "items": group}, "Rules, in groups."),
                "notify": told(
                    notify(), "Where alerts go, and which are not told; in one file of the folder."
                ),
            },
            minProperties=1,
        ),
        "$defs": DEFINITIONS,
    }


def _rule() -> Schema:
    conditions: Mapping[str, Schema] = kinds()
    lasting = ("for", "keep_firing_for", "no_data")
    briefly = [name for name, kind in KINDS.items() if not getattr(kind, "lasting", True)]
    return mapping(
        {
            "alert": told(NAME, "Its name, of which there is one in all files."),
            "for": told(DURATION, "How long it has to be so before it is told; at most 24h.", default="0s"),
            "keep_firing_for": told(DURATION, "How long it has to be over before it ends.", default="0s"),
            "no_data": told(
                {"enum": list(NO_DATA)},
                "Too few calls: it is over (ok), goes on (keep), breaches (alert), or is told (no_data).",
            ),
            "labels": _LABELS,
            "annotations": _ANNOTATIONS,
            "notify": told(
                mapping({"slack": told(CHANNEL, "The channel.")}), "Where it goes, before all routes."
            ),
            **conditions,
        },
        required=("alert",),
        oneOf=[{"required": [name]} for name in conditions],
        allOf=[
            {
                "if": {"anyOf": [{"required": [name]} for name in briefly]},
                "then": {"properties": dict.fromkeys(lasting, False)},
            }
        ],
    )
