# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""The shape of a `*_test.yaml` file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llmvitals.errors import suggestion
from llmvitals.rules.shape import SEVERITIES, Name
from llmvitals.window import DAY, MINUTE, SECOND, duration

START: Final = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * SECOND
"""When a test begins that doesn't say: a Monday, at midnight UTC."""
LONGEST: Final = 400 * DAY
_STATUS: Final = ("firing", "resolved")


def _moment(value: Any) -> int:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(f"{value} is no time: write one with its offset, such as 2026-10-25T00:00:00+02:00")
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
        raise ValueError(f"{value!r} is no time of calls: write one such as 5m, or 0m..30m") from error
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


def _one_of(*allowed: str) -> BeforeValidator:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{value!r} is none{suggestion(str(value), allowed)}")
        return str(value)

    return BeforeValidator(check)


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
            raise ValueError(f"{name}: {text!r} is no text: put it in quotes, such as '{text}'")
    return value


Names = Annotated[list[str], BeforeValidator(_names)]
Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Moment = Annotated[int, BeforeValidator(_moment)]


class FileShape(BaseModel):
    """A file. rules: files of rules beside it, default all."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rules: Names = []
    pane: Annotated[int, BeforeValidator(_pane)] | None = None
    start: Moment = START
    tests: list[Any]


class CaseShape(BaseModel):
    """One of `tests`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    start: Moment | None = None
    only: Names = []
    calls: list[Any]
    expect: Annotated[list[Any], Field(min_length=1)]


class CallsShape(BaseModel):
    """One of `calls`, but for the fields of the calls."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: Annotated[tuple[int, int | None], BeforeValidator(_span)]
    every: Annotated[int, BeforeValidator(_every)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> CallsShape:
        if (self.at[1] is None) != (self.every is None):
            raise ValueError("calls come at: 5m, or at: 0m..30m and every: 10s")
        return self


class ExpectShape(BaseModel):
    """One of `expect`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: Annotated[int, BeforeValidator(after)] | None = None
    alerts: list[Any] | None = None
    never: Names = []

    @model_validator(mode="after")
    def _whole(self) -> ExpectShape:
        if bool(self.never) == (self.at is not None) or (self.at is None) != (self.alerts is None):
            raise ValueError("write at: 10m and alerts: […], or never: RULE")
        return self


class AlertShape(BaseModel):
    """One of `alerts`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    alert: Name
    status: Annotated[Literal["firing", "resolved"], _one_of(*_STATUS)] = "firing"
    labels: Texts = {}
    severity: Annotated[str, _one_of(*SEVERITIES)] | None = None
    level: str | None = None
    facet: Annotated[str, _one_of("", "burn", "forecast")] | None = None
    verdict: Annotated[str, _one_of("", "warn", "block")] | None = None
    summary: str | None = None
    note: str | None = None
    cause: str | None = None
    annotations: Texts = {}
