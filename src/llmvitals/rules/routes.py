# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The fields of the `notify:` section of a rule file."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from llmvitals.record.matcher import Matcher, parsed
from llmvitals.routing import EACH, Inhibition, Route
from llmvitals.rules.condition.fields import DURATION
from llmvitals.rules.shape import Channel
from llmvitals.window import DAY, HOUR, MINUTE, SECOND, duration, duration_text

MOST: Final = 200
"""The most routes, inhibitions and mute times."""


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
    return _between(value, SECOND, DAY)


def _repeat(value: Any) -> int:
    return _between(value, MINUTE, 31 * DAY)


def _between(value: Any, least: int, most: int) -> int:
    length = duration(value)
    if not least <= length <= most:
        bounds = f"{duration_text(least)} to {duration_text(most)}"
        raise ValueError(f"{value} is too {'short' if length < least else 'long'}: write {bounds}")
    return length


Matchers = Annotated[
    list[Annotated[Matcher, BeforeValidator(_matcher)]],
    Field(min_length=1, max_length=20),
    WithJsonSchema(
        {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": r"^\s*[A-Za-z_][A-Za-z0-9_.]{0,80}\s*(=~|!~|!=|=)(?![=~])",
                "maxLength": 341,
            },
            "minItems": 1,
            "maxItems": 20,
            "examples": [["severity=critical", "team=~search|ads"]],
        }
    ),
]
_NAMES: Final = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
LabelNames = Annotated[tuple[str, ...], BeforeValidator(_labels), WithJsonSchema(_NAMES)]
GroupBy = Annotated[
    tuple[str, ...],
    BeforeValidator(_labels),
    WithJsonSchema({**_NAMES, "anyOf": [{"maxItems": 1}, {"not": {"contains": {"const": EACH}}}]}),
]


class Way(BaseModel):
    """How people are notified: the part that a route and the section share. Durations in µs."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    slack: Channel = Field("", description="The channel; default: the setting slack_channel.")
    group_by: GroupBy | None = Field(
        None,
        description='Labels whose values make one incident, such as [rule, team]; ["..."]: '
        "each alert is its own.",
    )
    group_wait: Annotated[int, BeforeValidator(_wait), WithJsonSchema(DURATION)] = Field(
        duration_text(Route().wait),
        validate_default=True,
        description="How long a new incident waits for what belongs to it; at most 1h.",
    )
    group_interval: Annotated[int, BeforeValidator(_interval), WithJsonSchema(DURATION)] = Field(
        duration_text(Route().interval),
        validate_default=True,
        description="How long further changes of it wait; at most 1d.",
    )
    repeat_interval: Annotated[int, BeforeValidator(_repeat), WithJsonSchema(DURATION)] = Field(
        duration_text(Route().repeat),
        validate_default=True,
        description="How often it is repeated while it fires; at most 31d.",
    )


class RouteShape(Way):
    """One of `routes`."""

    match: Matchers = Field(
        [], description="label=value, !=, =~ and !~ (regex); all have to hold. None: every alert."
    )
    mute: list[str] = Field([], description="Names of mute_times.")

    def made(self, root: NotifyShape) -> Route:
        """The route; what it leaves out is as in the section."""
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

    source: Matchers = Field(description="While an alert matches this…")
    target: Matchers = Field(description="…those that match this are muted…")
    equal: LabelNames = Field((), description="…where these labels are the same.")

    def made(self) -> Inhibition:
        """The inhibition."""
        return Inhibition(tuple(self.source), tuple(self.target), self.equal)


class NotifyShape(Way):
    """The section."""

    routes: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="The first that matches is the alert's; what it leaves out is as above."
    )
    inhibit: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="Alerts that mute others while they fire."
    )
    mute_times: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="Times in which a route is muted."
    )
