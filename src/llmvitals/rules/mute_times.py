# pydantic tells a ValueError to the user, and passes a TypeError on
"""The fields of the mute times in the `notify:` section."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from llmvitals.errors import suggestion
from llmvitals.routing import MuteTime
from llmvitals.rules.condition.fields import Schema, Zone
from llmvitals.rules.shape import Name

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def _clock(value: Any) -> int:
    """Minutes of the day."""
    # YAML 1.1 reads 22:00 without quotes as a number to the base of 60.
    hint = f"'{value // 60:02}:{value % 60:02}'" if type(value) is int and 0 <= value <= 1_440 else "'22:00'"
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f"{value!r} is no time of day: write it in quotes, such as {hint}")
    return int(value[:2]) * 60 + int(value[3:])


def _days(value: Any) -> frozenset[int]:
    if not isinstance(value, list) or not value:
        raise ValueError("write a list of days, such as [sat, sun]")
    for day in value:
        if day not in DAYS:
            near = next((name for name in DAYS if str(day).lower().startswith(name)), "")
            hint = f": write {near}" if near else suggestion(str(day), DAYS)
            raise ValueError(f"{day!r} is no day{hint}")
    return frozenset(map(DAYS.index, value))


_CLOCK_TEXT: Final[Schema] = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
_DAYS: Final[Schema] = {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1}
Begin = Annotated[int, BeforeValidator(_clock), WithJsonSchema({**_CLOCK_TEXT, "not": {"const": "24:00"}})]
End = Annotated[int, BeforeValidator(_clock), WithJsonSchema(_CLOCK_TEXT)]


class MuteShape(BaseModel):
    """One of `mute_times`; begin, end: minutes of the day."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        json_schema_extra={"dependentRequired": {"from": ["to"], "to": ["from"]}},
    )

    name: Name = Field(description="Its name in routes.")
    days: Annotated[frozenset[int], BeforeValidator(_days), WithJsonSchema(_DAYS)] = Field(
        frozenset(), description="Default: every day."
    )
    begin: Begin | None = Field(
        None,
        alias="from",
        description="In quotes: '22:00'. A span that ends before it begins lasts overnight.",
    )
    end: End | None = Field(None, alias="to", description="In quotes: '07:00'.")
    timezone: Zone = Field("UTC", validate_default=True, description="The time zone of the clock.")

    @model_validator(mode="after")
    def _whole(self) -> MuteShape:
        if (self.begin is None) != (self.end is None):
            raise ValueError("write both from and to, or neither for the whole day")
        if self.begin is not None and self.begin == self.end:
            raise ValueError("from and to are the same: leave both out for the whole day")
        if self.begin == 1_440:
            raise ValueError("from: a day begins at '00:00'")
        return self

    def made(self) -> MuteTime:
        """The mute time."""
        spans = () if self.begin is None or self.end is None else ((self.begin, self.end),)
        return MuteTime(self.name, self.days, spans, self.timezone)
