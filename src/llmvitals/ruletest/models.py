# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The pydantic models of a `*_test.yaml` file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from llmvitals.errors import suggestion
from llmvitals.rules.condition.fields import DURATION, Schema
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.models import SEVERITIES, Name
from llmvitals.window import DAY, MINUTE, SECOND, duration

START: Final = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * SECOND
"""The default start of a test: a Monday, midnight UTC."""
LONGEST: Final = 400 * DAY
_STATUS: Final = ("firing", "resolved")
STEERED: Final = ("", "warn", "block")
"""The verdicts for gateways."""
_TEXT: Final[Schema] = {"type": "string"}


def facets() -> tuple[str, ...]:
    """The facets that alerts of any kind have; "" is the condition itself."""
    return ("", *dict.fromkeys(facet for kind in KINDS.values() for facet in kind.facets))


def _moment(value: Any) -> int:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(
            f"{value} is not a time: write one with its offset, such as 2026-10-25T00:00:00+02:00"
        )
    if not 2020 <= moment.year < 2100:
        raise ValueError(f"{value} is too far off: write a year between 2020 and 2099")
    return int(moment.timestamp()) * SECOND


def after(value: Any) -> int:
    """µs after the start. Raises ValueError with the cure."""
    length = duration(value)
    if length > LONGEST:
        raise ValueError(f"{value} is too long: at most 400d")
    return length


def _span(value: Any) -> tuple[int, int | None]:
    first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
    try:
        begin, end = after(first), after(last) if dots else None
    except ValueError as error:
        raise ValueError(f"{value!r} is not a time of calls: write one such as 5m, or 0m..30m") from error
    if end is not None and end <= begin:
        raise ValueError(f"{value} ends before it begins: write the earlier time first")
    return begin, end


def _every(value: Any) -> int:
    length = duration(value)
    if length < 1_000:
        raise ValueError("write at least 1ms")
    return length


def _pane(value: Any) -> int:
    length = duration(value)
    if not SECOND <= length <= MINUTE or MINUTE % length:
        raise ValueError(f"{value} has to divide a minute into whole seconds, such as 10s")
    return length


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none{suggestion(str(value), allowed)}")
    return str(value)


def _names(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("write a name, or a list of names")
    return names


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("write name: text, such as {app: chat}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: {text!r} is not a text: put it in quotes, such as '{text}'")
    return value


Names = Annotated[
    list[str],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
Texts = Annotated[
    dict[str, str],
    BeforeValidator(_texts),
    WithJsonSchema({"type": "object", "additionalProperties": _TEXT}),
]
Moment = Annotated[
    int,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^20[2-9][0-9]-.*([Zz]|[+-][0-9]{2}:?[0-9]{2})$",
        }
    ),
    Field(description="When it begins, with its offset: 2026-10-25T00:00:00+02:00."),
]
Duration = WithJsonSchema(DURATION)


class FileModel(BaseModel):
    """Calls in, alerts out, for the rules beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rules: Names = Field([], description="Files of rules; default: all of the folder.")
    pane: Annotated[int, BeforeValidator(_pane), Duration] | None = Field(
        None, description="The pane's length; default: the setting."
    )
    start: Moment = Field(START, json_schema_extra={"default": "2026-01-05T00:00:00Z"})
    tests: list[Any] = Field(description="The tests.")


class CaseModel(BaseModel):
    """One of `tests`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = Field(description="What the test checks.")
    start: Moment | None = Field(None, description="When it begins; default: as the file.")
    only: Names = Field([], description="Rules that are checked; default: all.")
    calls: list[Any] = Field(description="The calls.")
    expect: Annotated[list[Any], Field(min_length=1)] = Field(description="The expectations.")


class CallsModel(BaseModel):
    """One of `calls`, without the fields of the calls."""

    at: Annotated[
        tuple[int, int | None],
        BeforeValidator(_span),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": r"^([0-9]+(ms|s|m|h|d|w))+(\.\.([0-9]+(ms|s|m|h|d|w))+)?$",
            }
        ),
    ] = Field(description="When, after the start: 5m, or 0m..30m together with every.")
    every: Annotated[int, BeforeValidator(_every), Duration] | None = Field(
        None, description="The time between two calls."
    )
    late: Annotated[int, BeforeValidator(after), Duration] = Field(
        0,
        json_schema_extra={"default": "0s"},
        description="How long after their own time they come: 1h.",
    )

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"at": {"pattern": r"\.\."}}},
                    "then": {"required": ["every"]},
                    "else": {"properties": {"every": False}},
                }
            ]
        },
    )

    @model_validator(mode="after")
    def _whole(self) -> CallsModel:
        if (self.at[1] is None) != (self.every is None):
            raise ValueError("calls come at: 5m, or at: 0m..30m and every: 10s")
        return self


class ExpectModel(BaseModel):
    """One of `expect`."""

    at: Annotated[int, BeforeValidator(after), Duration] | None = Field(None, description="After the start.")
    alerts: list[Any] | None = Field(None, description="Exactly these fire then; []: none.")
    messages: list[Any] | None = Field(
        None, description="Exactly these messages and replies are sent up to then, in this order."
    )
    never: Names = Field([], description="Rules that must not fire at any time.")

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["at"],
                    "anyOf": [{"required": ["alerts"]}, {"required": ["messages"]}],
                    "not": {"required": ["never"]},
                },
                {"required": ["never"], "not": {"required": ["at"]}},
            ],
            "dependentRequired": {"alerts": ["at"], "messages": ["at"]},
        },
    )

    @model_validator(mode="after")
    def _whole(self) -> ExpectModel:
        stated = self.alerts is not None or self.messages is not None
        if bool(self.never) == (self.at is not None) or (self.at is not None) != stated:
            raise ValueError("write at: 10m and alerts: […] or messages: […], or never: RULE")
        return self


class MessageModel(BaseModel):
    """One of `messages`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: str = Field("", description="The channel; default: any.")
    says: Names = Field(description="Texts that it contains.")
    reply: bool = Field(False, description="Whether it is a reply in a thread.")


class AlertModel(BaseModel):
    """One of `alerts`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alert: Name = Field(description="The rule.")
    status: Annotated[
        Literal["firing", "resolved"], BeforeValidator(lambda value: _one_of(value, _STATUS))
    ] = Field("firing", description="Whether it fires then, or has resolved.")
    labels: Texts = Field({}, description="Some of its labels.")
    severity: (
        Annotated[
            str,
            BeforeValidator(lambda value: _one_of(value, SEVERITIES)),
            WithJsonSchema({"enum": list(SEVERITIES)}),
        ]
        | None
    ) = Field(None, description="How urgent it is.")
    level: str | None = Field(None, description="A budget's threshold (80%), minor or major, ×2 …")
    facet: Annotated[str, BeforeValidator(lambda value: _one_of(value, facets()))] | None = Field(
        None,
        description="Which side of the rule fires: burn or forecast of a budget; none for its condition.",
    )
    verdict: (
        Annotated[
            str,
            BeforeValidator(lambda value: _one_of(value, STEERED)),
            WithJsonSchema({"enum": list(STEERED)}),
        ]
        | None
    ) = Field(None, description="What gateways do.")
    value: str | None = Field(None, description="Its value then, as people read it: $400, 12 %, 6.2 s.")
    peak: str | None = Field(None, description="The worst value since it began, as people read it.")
    limit: str | None = Field(None, description="What the value is compared with, as people read it.")
    summary: str | None = Field(None, description="The sentence that people read.")
    note: str | None = Field(None, description="The note of its detector.")
    cause: str | None = Field(None, description="The root-cause line.")
    annotations: Texts = Field({}, description="Some of its annotations.")
