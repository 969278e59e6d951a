# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""The shape of a rule file, without its conditions."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llmvitals.window import DAY, duration

SEVERITIES: Final = ("info", "warning", "critical")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CHANNEL: Final = re.compile(r"#[^\s#@<>&,]{1,80}|[CGD][A-Z0-9]{6,20}")
LONGEST_TEXT: Final = 1_000


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        raise ValueError(f"{value!r} is no name: write a text of 1 to 100 characters")
    return value


def _while(value: Any) -> int:
    length = duration(value)
    if length > DAY:
        raise ValueError(f"{value} is too long: at most 24h")
    return length


def _no_data(value: Any) -> str:
    if value not in ("ok", "keep", "alert", "no_data"):
        raise ValueError(f"{value!r} is no way to treat missing calls: write ok, keep, alert or no_data")
    return str(value)


def texts(value: Any) -> dict[str, str]:
    """A mapping of names to texts. Raises ValueError with the cure."""
    if not isinstance(value, dict):
        raise ValueError("write name: text, such as {severity: warning}")
    for name, text in value.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: letters, digits and _ only, not beginning with a digit")
        if not isinstance(text, str):
            raise ValueError(f"{name}: {text!r} is no text: put it in quotes, such as '{text}'")
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{name}: longer than {LONGEST_TEXT} characters: shorten it")
    return value


def _labels(value: Any) -> dict[str, str]:
    labels = texts(value)
    if labels.get("severity", SEVERITIES[0]) not in SEVERITIES:
        raise ValueError(f"severity: {labels['severity']!r} is none: write one of {', '.join(SEVERITIES)}")
    return labels


def _annotations(value: Any) -> dict[str, str]:
    found = texts(value)
    if not found.get("runbook_url", "https://").startswith(("https://", "http://")):
        raise ValueError("runbook_url: write a link that begins with https://")
    return found


def channel(value: Any) -> str:
    """A Slack channel. Raises ValueError with the cure."""
    if not isinstance(value, str) or not _CHANNEL.fullmatch(value):
        raise ValueError(f"{value!r} is no Slack channel: write '#name' in quotes, or its id")
    return value


def _notify(value: Any) -> dict[str, str]:
    routes = texts(value)
    for name, where in routes.items():
        if name != "slack":
            raise ValueError(f"{name!r} is no way to notify: write slack")
        channel(where)
    return routes


Name = Annotated[str, BeforeValidator(_name)]
Labels = Annotated[dict[str, str], BeforeValidator(_labels)]
While = Annotated[int, BeforeValidator(_while)]


class File(BaseModel):
    """A file: rules, or the `notify:` section of all rules, or both."""

    model_config = ConfigDict(extra="forbid", strict=True)

    groups: list[Any] = []
    notify: Any = None


class Group(BaseModel):
    """Rules that belong together; labels are of all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    labels: Labels = {}
    rules: list[Any]


class RuleShape(BaseModel):
    """A rule but for its condition. hold, keep_firing_for: µs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alert: Name
    hold: While = Field(0, alias="for")
    keep_firing_for: While = 0
    no_data: Annotated[str, BeforeValidator(_no_data)] = ""
    labels: Labels = {}
    annotations: Annotated[dict[str, str], BeforeValidator(_annotations)] = {}
    notify: Annotated[dict[str, str], BeforeValidator(_notify)] = {}
