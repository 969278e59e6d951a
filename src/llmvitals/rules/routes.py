# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""The shape of the `notify:` section of a rule file."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from llmvitals.record.matcher import Matcher, parsed
from llmvitals.routing import EACH, Inhibition, Route
from llmvitals.rules.shape import channel
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

MOST: Final = 200
"""Routes, inhibitions and mute times, at most."""


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


Matchers = Annotated[list[Annotated[Matcher, BeforeValidator(_matcher)]], Field(min_length=1, max_length=20)]
Labels = Annotated[tuple[str, ...], BeforeValidator(_labels)]


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


class NotifyShape(Way):
    """The section."""

    routes: Annotated[list[Any], Field(max_length=MOST)] = []
    inhibit: Annotated[list[Any], Field(max_length=MOST)] = []
    mute_times: Annotated[list[Any], Field(max_length=MOST)] = []
