# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""The shape of the `notify:` section of a rule file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llmvitals.alert.routing import EACH, Inhibition, MuteTime, Route
from llmvitals.alert.shape import Name, channel
from llmvitals.errors import suggestion
from llmvitals.record.matcher import Matcher, parsed
from llmvitals.record.zone import zone
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST: Final = 200
"""Routes, inhibitions and mute times, at most."""
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def _matcher(value: Any) -> Matcher:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no matcher: write a text in quotes, such as 'severity=critical'")
    return parsed(value)


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("write a list of labels, such as [rule, team]")
    if len(set(value)) < len(value):
        raise ValueError("a label stands there twice: leave one out")
    if EACH in value and len(value) > 1:
        raise ValueError(f"{EACH!r} makes a group of each alert: leave the others out")
    return tuple(value)


def _wait(value: Any) -> int:
    return _between(value, 0, HOUR)


def _interval(value: Any) -> int:
    return _between(value, 1_000_000, DAY)


def _repeat(value: Any) -> int:
    return _between(value, MINUTE, 31 * DAY)


def _between(value: Any, least: int, most: int) -> int:
    length = duration(value)
    if not least <= length <= most:
        bounds = f"{duration_text(least)} to {duration_text(most)}"
        raise ValueError(f"{value} is too {'short' if length < least else 'long'}: write {bounds}")
    return length


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


Matchers = Annotated[list[Annotated[Matcher, BeforeValidator(_matcher)]], Field(min_length=1, max_length=20)]
Labels = Annotated[tuple[str, ...], BeforeValidator(_labels)]
Clock = Annotated[int, BeforeValidator(_clock)]


class Way(BaseModel):
    """How alerts are told: of a route, or for all routes. Durations in µs."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    slack: Annotated[str, BeforeValidator(channel)] = ""
    group_by: Labels | None = None
    group_wait: Annotated[int, BeforeValidator(_wait)] = Route().wait
    group_interval: Annotated[int, BeforeValidator(_interval)] = Route().interval
    repeat_interval: Annotated[int, BeforeValidator(_repeat)] = Route().repeat


class RouteShape(Way):
    """One of `routes`."""

    match: Matchers = []
    mute: list[str] = []

    def made(self, root: NotifyShape) -> Route:
        """The route; what it doesn't say is as the section says it."""
        own = self.model_fields_set
        way = {name: getattr(self if name in own else root, name) for name in Way.model_fields}
        return Route(
            tuple(self.match),
            channel=way["slack"],
            group_by=way["group_by"],
            wait=way["group_wait"],
            interval=way["group_interval"],
            repeat=way["repeat_interval"],
            mute=tuple(self.mute),
        )


class InhibitShape(BaseModel):
    """One of `inhibit`."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    source: Matchers
    target: Matchers
    equal: Labels = ()

    def made(self) -> Inhibition:
        """The inhibition."""
        return Inhibition(tuple(self.source), tuple(self.target), self.equal)


class MuteShape(BaseModel):
    """One of `mute_times`; begin, end: minutes of the day."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    name: Name
    days: Annotated[frozenset[int], BeforeValidator(_days)] = frozenset()
    begin: Clock | None = Field(None, alias="from")
    end: Clock | None = Field(None, alias="to")
    timezone: Annotated[Any, BeforeValidator(zone)] = zone("UTC")

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


class NotifyShape(Way):
    """The section."""

    routes: Annotated[list[Any], Field(max_length=MOST)] = []
    inhibit: Annotated[list[Any], Field(max_length=MOST)] = []
    mute_times: Annotated[list[Any], Field(max_length=MOST)] = []
