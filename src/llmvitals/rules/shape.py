# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""The shape of a rule file, without its conditions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llmvitals.errors import checked, suggestion
from llmvitals.window import DAY, duration

if TYPE_CHECKING:
    from collections.abc import Callable

NO_DATA: Final = ("ok", "keep", "alert", "no_data")
OWN: Final = ("rule", "kind")
SEVERITIES: Final = ("info", "warning", "critical")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CHANNEL: Final = re.compile(r"#[^\s#@<>&,]{1,80}|[CGD][A-Z0-9]{6,20}")
LONGEST_TEXT: Final = 1_000


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        raise ValueError(f"{value!r} is no name: write a text of 1 to 100 characters")
    if not value.isprintable():
        raise ValueError(f"{value!a} has characters that can't be seen: write it anew")
    return value


def _while(value: Any) -> int:
    length = duration(value)
    if length > DAY:
        raise ValueError(f"{value} is too long: at most 24h")
    return length


def _no_data(value: Any) -> str:
    if value not in NO_DATA:
        raise ValueError(f"{value!r} is no way to treat missing calls{suggestion(str(value), NO_DATA)}")
    return str(value)


def _text(name: str, text: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: letters, digits and _ only, not beginning with a digit")
    if not isinstance(text, str):
        raise ValueError(f"{name}: {text!r} is no text: put it in quotes, such as '{text}'")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{name}: longer than {LONGEST_TEXT} characters: shorten it")
    return text


def _label(name: str, text: Any) -> str:
    if _text(name, text) not in SEVERITIES and name == "severity":
        raise ValueError(f"severity: {text!r} is none{suggestion(text, SEVERITIES)}")
    if name in OWN:
        raise ValueError(f"{name} is what every alert has by itself: name the label otherwise")
    return str(text)


def _annotation(name: str, text: Any) -> str:
    if not _text(name, text).startswith(("https://", "http://")) and name == "runbook_url":
        raise ValueError("runbook_url: write a link that begins with https://")
    return str(text)


def _way(name: str, where: Any) -> str:
    if name != "slack":
        raise ValueError(f"{name!r} is no way to notify: write slack")
    return channel(where)


def _mapping(value: Any, check: Callable[[str, Any], str], example: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"write name: text, such as {example}")
    return checked(value.items(), check)


def channel(value: Any) -> str:
    """A Slack channel. Raises ValueError with the cure."""
    if not isinstance(value, str) or not _CHANNEL.fullmatch(value):
        raise ValueError(f"{value!r} is no Slack channel: write '#name' in quotes, or its id")
    return value


Name = Annotated[str, BeforeValidator(_name)]
Labels = Annotated[
    dict[str, str], BeforeValidator(lambda value: _mapping(value, _label, "{severity: warning}"))
]
Annotations = Annotated[
    dict[str, str], BeforeValidator(lambda value: _mapping(value, _annotation, "{summary: 'what is wrong'}"))
]
Ways = Annotated[dict[str, str], BeforeValidator(lambda value: _mapping(value, _way, "{slack: '#llm'}"))]
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
    """A rule but for its condition. hold, keep_firing_for: µs.

    foreign: keys that other tools have, and what to write for them.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    foreign: ClassVar[dict[str, str]] = {
        "expr": "nothing is evaluated here: write threshold: {metric: error_share, above: 5%}",
        "record": "every view is recorded by itself: leave it out",
        "noDataState": "write no_data",
        "for_duration": "write for",
        "severity": "write labels: {severity: critical}",
        "summary": "write annotations: {summary: …}",
        "slack": "write notify: {slack: '#channel'}",
    }

    alert: Name
    hold: While = Field(0, alias="for")
    keep_firing_for: While = 0
    no_data: Annotated[str, BeforeValidator(_no_data)] = ""
    labels: Labels = {}
    annotations: Annotations = {}
    notify: Ways = {}
