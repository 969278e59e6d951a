# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The pydantic models of the `notify:` section of a rule file: routes, inhibitions and mute times."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from llmvitals.errors import suggestion
from llmvitals.record.matcher import Matcher, parsed
from llmvitals.routing import EACH, Inhibition, MuteTime, Route
from llmvitals.rules.condition.dimensions import meant
from llmvitals.rules.condition.fields import DURATION, Schema, Zone
from llmvitals.rules.models import Channel, Name
from llmvitals.window import DAY, HOUR, MINUTE, SECOND, duration, duration_text

_ALL: Final = ("here", "channel")
_MENTION: Final = re.compile(r"<!(?:here|channel)>|[UWS][A-Z0-9]{7,20}")
MOST: Final = 200
"""The most routes, inhibitions and mute times."""


def _matcher(value: Any) -> Matcher:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a matcher: write a text in quotes, such as 'severity=critical'")
    matcher = parsed(value)
    found = meant(matcher.value) if matcher.op in ("=", "!=") else None
    if found is not None:
        cure = found._replace(negate=found.negate != (matcher.op == "!=")).in_matcher(matcher.name)
        raise ValueError(f"{value!r} compares the text as it is, not as a pattern: write '{cure}'")
    return matcher


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("write a list of labels, such as [rule, team]")
    if len(set(value)) < len(value):
        raise ValueError("a label is listed twice: leave one out")
    if EACH in value and len(value) > 1:
        raise ValueError(f"{EACH!r} makes a group of each alert: leave the others out")
    return tuple(value)


def _wait(value: Any) -> int:
    return _between(value, 0, HOUR)


def _interval(value: Any) -> int:
    return _between(value, SECOND, DAY)


def _repeat(value: Any) -> int:
    return _between(value, MINUTE, 31 * DAY)


def _mention(value: Any) -> str:
    if isinstance(value, str) and _MENTION.fullmatch(value):
        return value
    name = str(value).strip("@<!>")
    hint = (
        f'"<!{name}>"' if name in _ALL else "the id of a user (U…, see their profile) or of a user group (S…)"
    )
    raise ValueError(f"{value!r} mentions nobody: write {hint}")


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false: write one of them, without quotes")
    return value


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


Mentions = Annotated[
    list[Annotated[str, BeforeValidator(_mention)]],
    Field(max_length=20),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^(?:{_MENTION.pattern})$"},
            "maxItems": 20,
            "examples": [["<!here>", "S0123456789"]],
        }
    ),
]


class Way(BaseModel):
    """The settings that a route and the section share. Durations in µs."""

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
        description="How long a new incident waits for further alerts; at most 1h.",
    )
    group_interval: Annotated[int, BeforeValidator(_interval), WithJsonSchema(DURATION)] = Field(
        duration_text(Route().interval),
        validate_default=True,
        description="How long further changes of an incident are collected; at most 1d.",
    )
    repeat_interval: Annotated[int, BeforeValidator(_repeat), WithJsonSchema(DURATION)] = Field(
        duration_text(Route().repeat),
        validate_default=True,
        description="How often an incident is repeated while it fires; at most 31d.",
    )
    thread: Annotated[bool, BeforeValidator(_switch)] = Field(
        True, description="Whether the message's thread hears what changes; false: it is only edited."
    )
    mention: Mentions = Field(
        [],
        description="Who is mentioned, once, when the message is posted: ids of users (U…) and of user "
        'groups (S…), "<!here>", "<!channel>".',
    )


class RouteModel(Way):
    """One of `routes`."""

    match: Matchers = Field(
        [], description="label=value, !=, =~ and !~ (regex); all have to hold. None: every alert."
    )
    mute: list[str] = Field([], description="Names of mute_times.")

    def made(self, root: NotifyModel, place: str = "") -> Route:
        """The route; settings that it leaves out are those of the section. place: its file and line."""
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
            thread=way["thread"],
            mention=tuple(dict.fromkeys(way["mention"])),
            place=place,
        )


class InhibitModel(BaseModel):
    """One of `inhibit`."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    source: Matchers = Field(description="While an alert matches this…")
    target: Matchers = Field(description="…those that match this are muted…")
    equal: LabelNames = Field((), description="…where these labels are the same.")

    def made(self, place: str = "") -> Inhibition:
        """The inhibition; place: its file and line."""
        return Inhibition(tuple(self.source), tuple(self.target), self.equal, place)


class NotifyModel(Way):
    """The section."""

    routes: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="The first matching route applies; settings that it leaves out are those above."
    )
    inhibit: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="Alerts that mute others while they fire."
    )
    mute_times: Annotated[list[Any], Field(max_length=MOST)] = Field(
        [], description="Times in which a route does not notify."
    )


DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def _clock(value: Any) -> int:
    """The minute of the day."""
    # YAML 1.1 reads 22:00 without quotes as a base-60 number.
    hint = f"'{value // 60:02}:{value % 60:02}'" if type(value) is int and 0 <= value <= 1_440 else "'22:00'"
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f"{value!r} is not a time of day: write it in quotes, such as {hint}")
    return int(value[:2]) * 60 + int(value[3:])


def _days(value: Any) -> frozenset[int]:
    if not isinstance(value, list) or not value:
        raise ValueError("write a list of days, such as [sat, sun]")
    for day in value:
        if day not in DAYS:
            near = next((name for name in DAYS if str(day).lower().startswith(name)), "")
            hint = f": write {near}" if near else suggestion(str(day), DAYS)
            raise ValueError(f"{day!r} is not a day{hint}")
    return frozenset(map(DAYS.index, value))


_CLOCK_TEXT: Final[Schema] = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
_DAYS: Final[Schema] = {"type": "array", "items": {"enum": list(DAYS)}, "minItems": 1}
Begin = Annotated[int, BeforeValidator(_clock), WithJsonSchema({**_CLOCK_TEXT, "not": {"const": "24:00"}})]
End = Annotated[int, BeforeValidator(_clock), WithJsonSchema(_CLOCK_TEXT)]


class MuteModel(BaseModel):
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
    def _whole(self) -> MuteModel:
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
