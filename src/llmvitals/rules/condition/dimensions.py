# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The dimensions of a condition: `by` makes one series for each value, `where` filters the calls."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from llmvitals.errors import checked, near, suggestion
from llmvitals.record.call import CallEvent
from llmvitals.record.pattern import LONGEST as LONGEST_REGEX
from llmvitals.record.pattern import checked as checked_regex
from llmvitals.record.view import DIMENSIONS, UNKNOWN, Condition

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATOR: Final = re.compile(r"\s*(=~|!~|!=|==|=|~|!)\s*(.*?)\s*", re.DOTALL)
_REGEX: Final = re.compile(r"\.[*+]|^\^")

_TAG: Final = r"tags\.[A-Za-z0-9_.-]{1,64}"
DIMENSION: Final[dict[str, Any]] = {
    "type": "string",
    "anyOf": [{"enum": list(DIMENSIONS)}, {"pattern": f"^{_TAG}$"}],
}
"""The JSON Schema of a dimension's name."""


class Meant(NamedTuple):
    """What a text means that looks like a condition: a regex or, without one, any of the values."""

    regex: str = ""
    values: tuple[str, ...] = ()
    negate: bool = False

    @property
    def in_where(self) -> str:
        """As `where` has it."""
        inner = "{regex: '" + self.regex.replace("'", "''") + "'}"
        if not self.regex:
            inner = self.values[0] if len(self.values) == 1 else f"[{', '.join(self.values)}]"
        return f"{{not: {inner}}}" if self.negate else inner

    def in_matcher(self, name: str) -> str:
        """As a matcher of a label."""
        regex = self.regex or ("|".join(self.values) if len(self.values) > 1 else "")
        sign = "!" if self.negate else "="
        return f"{name}{sign}~{regex}" if regex else f"{name}{sign.rstrip('=')}={self.values[0]}"


def meant(text: str) -> Meant | None:
    """What a text means that only looks like a condition; None if it is a plain value.

    >>> meant("!~chat.*").in_where, meant("chat*").in_where, meant("chat")
    ("{not: {regex: 'chat.*'}}", "{regex: 'chat.*'}", None)
    """
    match = _OPERATOR.fullmatch(text)
    if match is None:
        return _pattern(text)
    operator, rest = match[1], match[2].strip("\"'")
    found = Meant(rest) if "~" in operator else _pattern(rest) or Meant(values=(rest,))
    return found._replace(negate=operator.startswith("!"))


def _pattern(text: str) -> Meant | None:
    if _REGEX.search(text) or ("|" in text and re.search(r"[()\[\]]", text)):
        return Meant(text)
    if "*" in text:
        return Meant(re.sub(r"\*+", ".*", text.replace(".", r"\.")))
    parts = tuple(filter(None, map(str.strip, text.split("|"))))
    return Meant(values=parts) if "|" in text and parts else None


def known(name: Any) -> str:
    """Check that a name is a dimension. Raises ValueError with a suggestion."""
    if isinstance(name, str) and (name in DIMENSIONS or re.fullmatch(_TAG, name)):
        return name
    raise ValueError(f"{name!r} is not a dimension{suggestion(str(name), [*DIMENSIONS, 'tags.NAME'])}")


def listed(value: Any, check: Callable[[Any], object], what: str, cure: str) -> tuple[str, ...]:
    """A name or a list of names, each accepted by `check` and none of them twice.

    what: the noun for a name. cure: the error if there is no such list. Raises ValueError.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError(cure)
    checked(enumerate(names), lambda _, name: check(name))
    if len(set(names)) < len(names):
        raise ValueError(f"a {what} is listed twice: leave one out")
    return tuple(names)


def condition(name: str, wanted: Any) -> Condition:
    """Parse the condition on a dimension, as rules write it. Raises ValueError with the cure."""
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in ("not", "regex"):
            raise ValueError(f"{name}: write a value, a list of values, {{not: …}} or {{regex: …}}")
        ((how, what),) = checked(wanted.items(), lambda how, what: _part(name, how, what)).items()
        return what if how == "regex" else Condition(what.values, what.regex, negate=not what.negate)
    if isinstance(wanted, list):
        values = checked(enumerate(wanted), lambda _, value: _value(name, value)).values()
        if not values:
            raise ValueError(
                f"{name}: the list is empty, so nothing would match: leave it out, or name values"
            )
        return Condition(frozenset(values))
    return Condition(frozenset([_value(name, wanted)]))


def _part(name: str, how: str, what: Any) -> Condition:
    """What stands behind `not` or `regex`."""
    if how == "not":
        return condition(name, what)
    made = Condition(regex=checked_regex(name, what))
    possible = closed_values(name)
    if possible and not any(map(made.accepts, possible)):
        raise ValueError(f"{name}: no value matches: it is one of {', '.join(possible)}")
    return made


def _value(name: str, value: Any) -> str:
    """A value that calls can have."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not a text: put it in quotes, such as '{value}'")
    if found := meant(value):
        cure = found.in_where
        if value[:1] not in "=!~":
            cure += f", or {{regex: '{re.escape(value)}'}} for exactly this"
        raise ValueError(f"{name}: {value!r} is compared as it is, not as a pattern: write {cure}")
    possible = closed_values(name)
    if possible and value not in possible:
        close = _OUTCOMES.get(value.lower()) if name == "status" else near(value, possible)
        cure = f"did you mean {close}?" if close else f"write one of {', '.join(possible)}"
        raise ValueError(f"{name}: no call has {value!r}: {cure}")
    return value


_OUTCOMES: Final = {
    **dict.fromkeys(("success", "succeeded", "200", "okay"), "ok"),
    **dict.fromkeys(("fail", "failed", "failure", "errors", "exception", "500", "429"), "error"),
    "error": "error",
    "ok": "ok",
}
"""What others call the outcome of a call → ours."""


@cache
def closed_values(name: str) -> tuple[str, ...]:
    """All values that a dimension can have; none: any text."""
    field = CallEvent.model_fields.get(name)
    hints = [field.annotation, *get_args(field.annotation)] if field else []
    found = [value for hint in hints if get_origin(hint) is Literal for value in get_args(hint)]
    return (*found, UNKNOWN) if found and field and field.default is None else tuple(found)


def _by(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and not value:
        return ()
    return listed(value, known, "dimension", "write a list of dimensions, such as [team]")


def _where(value: Any) -> Where:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, dict):
        raise ValueError("write dimension: value, such as {environment: prod}")
    wanted = checked(value.items(), lambda name, wanted: condition(known(name), wanted))
    return tuple(sorted(wanted.items()))


class Negated(BaseModel):
    """All values except these, as rules write it."""

    model_config = ConfigDict(extra="forbid")

    wanted: Wanted = Field(alias="not", description="What the value must not be.")


class Matching(BaseModel):
    """Values that a regex matches, as rules write it."""

    model_config = ConfigDict(extra="forbid")

    regex: Annotated[str, Field(max_length=LONGEST_REGEX, description="Matches the whole value.")]


Wanted = TypeAliasType("Wanted", str | Annotated[list[str], Field(min_length=1)] | Negated | Matching)
"""The condition on a dimension, as people write it; only its JSON Schema is used."""
Negated.model_rebuild()

By = Annotated[
    tuple[str, ...],
    Field(
        max_length=4,
        description="One series for each value of these dimensions, such as [team]; "
        "none: all calls together.",
    ),
    BeforeValidator(_by),
    WithJsonSchema(
        {"anyOf": [DIMENSION, {"type": "array", "items": DIMENSION, "maxItems": 4, "uniqueItems": True}]}
    ),
]
Where = Annotated[
    tuple[tuple[str, Condition], ...],
    Field(description="The calls that it reads, such as {environment: prod}."),
    BeforeValidator(_where, json_schema_input_type=dict[Annotated[str, WithJsonSchema(DIMENSION)], Wanted]),
]
"""Dimension → its condition, sorted by dimension."""
