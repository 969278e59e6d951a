# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The pydantic models of a rule file, except those of conditions."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from llmvitals.errors import checked, suggestion
from llmvitals.record.view import DIMENSIONS
from llmvitals.rules.condition.fields import DURATION, Schema
from llmvitals.rules.templates import NAMES, foreign
from llmvitals.window import DAY, duration

if TYPE_CHECKING:
    from collections.abc import Callable

NO_DATA: Final = ("ok", "keep", "alert", "no_data")
OWN: Final = ("rule", "kind")
"""Labels that are set on every alert."""
ANNOTATIONS: Final = ("summary", "description", "runbook_url")
"""Annotations with a meaning; others are passed on as they are."""
SEVERITIES: Final = ("info", "warning", "critical")
LONGEST_TEXT: Final = 1_000
FOREIGN: Final = {
    "expr": "nothing is evaluated here: write threshold: {metric: error_share, above: 5%}",
    "record": "views are recorded automatically: leave it out",
    "noDataState": "write no_data",
    "for_duration": "write for",
    "severity": "write labels: {severity: critical}",
    "summary": "write annotations: {summary: …}",
    "slack": "write notify: {slack: '#channel'}",
}
"""Keys of a rule in other tools → what to write instead."""

_KEY: Final = "[A-Za-z_][A-Za-z0-9_]{0,63}"
_CHANNEL: Final = r"#[^\s#@<>&,]{1,80}|[CGD][A-Z0-9]{6,20}"
_INVISIBLE: Final = "\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2064\\ufeff"


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        raise ValueError(f"{value!r} is not a name: write a text of 1 to 100 characters")
    if not value.isprintable():
        raise ValueError(f"{value!a} has invisible characters: type it again")
    return value


def _while(value: Any) -> int:
    length = duration(value)
    if length > DAY:
        raise ValueError(f"{value} is too long: at most 24h")
    return length


def _no_data(value: Any) -> str:
    if value not in NO_DATA:
        raise ValueError(f"{value!r} is not a no_data policy{suggestion(str(value), NO_DATA)}")
    return str(value)


def _text(name: str, text: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(_KEY, name):
        raise ValueError(f"{name!r} is not a name: letters, digits and _ only, not beginning with a digit")
    if not isinstance(text, str):
        raise ValueError(f"{name}: {text!r} is not a text: put it in quotes, such as '{text}'")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{name}: longer than {LONGEST_TEXT} characters: shorten it")
    return text


def _label(name: str, text: Any) -> str:
    if _text(name, text) not in SEVERITIES and name == "severity":
        raise ValueError(f"severity: {text!r} is none{suggestion(text, SEVERITIES)}")
    if name in OWN:
        raise ValueError(f"{name} is set on every alert: choose another name for the label")
    if foreign(text, (*NAMES, *DIMENSIONS)) or re.fullmatch(r"\$?\{[\w.]+\}", text):
        raise ValueError(
            f"{name}: a label is a fixed text, and {text!r} would be shown as it is: write one, or put the "
            "dimension into by"
        )
    if re.match(r"\s*(=|!=|!~)", text) or "*" in text:
        raise ValueError(f"{name}: {text!r} is no pattern, as a label is a fixed text: write one")
    return str(text)


def _annotation(name: str, text: Any) -> str:
    _text(name, text)
    if name not in ANNOTATIONS and (meant := _known_annotation(name)):
        raise ValueError(f"{name!r} is most likely a typo: did you mean {meant}?")
    if not _text(name, text).startswith(("https://", "http://")) and name == "runbook_url":
        raise ValueError("runbook_url: write a link that begins with https://")
    return str(text)


def _known_annotation(name: str) -> str | None:
    """The known annotation that a name most likely means."""
    if any(part in ANNOTATIONS for part in (name.partition("_")[0], name.rpartition("_")[2])):
        return None  # such as summary_de
    plainly = {known.replace("_", ""): known for known in ANNOTATIONS} | {"runbook": "runbook_url"}
    found = difflib.get_close_matches(name.replace("_", "").lower(), plainly, n=1, cutoff=0.8)
    return plainly[found[0]] if found else None


def _way(name: str, where: Any) -> str:
    if name != "slack":
        raise ValueError(f"{name!r} is not a receiver: write slack")
    return _channel(where)


def _mapping(value: Any, check: Callable[[str, Any], str], example: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"write name: text, such as {example}")
    return checked(value.items(), check)


def _channel(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_CHANNEL, value):
        raise ValueError(f"{value!r} is not a Slack channel: write '#name' in quotes, or its id")
    return value


_TEXT: Final[Schema] = {"type": "string", "maxLength": LONGEST_TEXT}
_TEMPLATE: Final[Schema] = _TEXT | {
    "pattern": r"^([^{}]|\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*|tags\.[A-Za-z0-9_.-]+)\})*$"
}
_PLACEHOLDERS: Final = ", ".join(f"{{{name}}}" for name in NAMES)
_HINT: Final = f"May hold {_PLACEHOLDERS}, the rule's labels and its dimensions, such as {{team}}."

Name = Annotated[
    str,
    BeforeValidator(_name),
    WithJsonSchema({"type": "string", "maxLength": 100, "pattern": rf"^(?=.*\S)[^{_INVISIBLE}]+$"}),
]
Channel = Annotated[
    str,
    BeforeValidator(_channel),
    WithJsonSchema({"type": "string", "pattern": f"^({_CHANNEL})$", "examples": ["#llm-alerts"]}),
]
"""A Slack channel."""
Severity = {"enum": list(SEVERITIES), "description": "How urgent it is."}
Labels = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: _mapping(value, _label, "{severity: warning}")),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"severity": Severity | {"default": "warning"}},
            "propertyNames": {"pattern": f"^{_KEY}$", "not": {"enum": list(OWN)}},
            "additionalProperties": _TEXT,
        }
    ),
    Field(description="Names and texts that routes and silences can match."),
]
Annotations = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: _mapping(value, _annotation, "{summary: 'what is wrong'}")),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "summary": {**_TEMPLATE, "description": f"The sentence that people read. {_HINT}"},
                "description": {**_TEMPLATE, "description": f"More about it. {_HINT}"},
                "runbook_url": {**_TEXT, "pattern": "^https?://", "description": "What to do: a link."},
            },
            "propertyNames": {"pattern": f"^{_KEY}$"},
            "additionalProperties": _TEXT,
        }
    ),
    Field(description="Texts of its alerts."),
]
Ways = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: _mapping(value, _way, "{slack: '#llm'}")),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "slack": {"type": "string", "pattern": f"^({_CHANNEL})$", "description": "The channel."}
            },
            "additionalProperties": False,
        }
    ),
    Field(description="Where its alerts go; overrides routes."),
]
While = Annotated[int, BeforeValidator(_while), WithJsonSchema(DURATION)]


class File(BaseModel):
    """A file of alert rules. Its tests are in *_test.yaml beside it."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"minProperties": 1})

    groups: list[Any] = Field([], description="Rules, in groups.")
    notify: Any = Field(None, description="Where alerts go, and which are muted; in one file of the folder.")


class Group(BaseModel):
    """Rules that belong together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = Field(description="What these rules are about.")
    labels: Labels = Field({}, description="Labels of all rules of the group.")
    rules: list[Any] = Field(description="The rules.")


class RuleModel(BaseModel):
    """A rule without its condition. Durations in µs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alert: Name = Field(description="Its name; unique among all rules.")
    hold: While = Field(
        "0s",
        validate_default=True,
        alias="for",
        description="How long it has to breach before it fires; at most 24h.",
    )
    keep_firing_for: While = Field(
        "0s",
        validate_default=True,
        description="How long it must not breach before it resolves; at most 24h.",
    )
    no_data: Annotated[str, BeforeValidator(_no_data), WithJsonSchema({"enum": list(NO_DATA)})] = Field(
        "",
        description="With too few calls the alert resolves (ok), goes on (keep), breaches (alert), "
        "or there is an alert of its own (no_data).",
    )
    labels: Labels = {}
    annotations: Annotations = {}
    notify: Ways = {}
