# ruff: noqa: TRY004  # pydantic shows a ValueError to the user, and raises a TypeError further
"""The dimensions of a condition: `by` makes one series for each value, `where` filters the calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from llmvitals.errors import checked, suggestion
from llmvitals.record.pattern import LONGEST as LONGEST_REGEX
from llmvitals.record.pattern import checked as checked_regex
from llmvitals.record.view import DIMENSIONS, Condition

if TYPE_CHECKING:
    from collections.abc import Callable

_TAG: Final = r"tags\.[A-Za-z0-9_.-]{1,64}"
DIMENSION: Final[dict[str, Any]] = {
    "type": "string",
    "anyOf": [{"enum": list(DIMENSIONS)}, {"pattern": f"^{_TAG}$"}],
}
"""The JSON Schema of a dimension's name."""


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
        ((how, what),) = wanted.items()
        if how == "regex":
            return Condition(regex=checked_regex(name, what))
        inner = condition(name, what)
        return Condition(inner.values, inner.regex, negate=not inner.negate)
    values = wanted if isinstance(wanted, list) else [wanted]
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{name}: {value!r} is not a text: put it in quotes, such as '{value}'")
    if not values:
        raise ValueError(f"{name}: the list is empty, so nothing would match: leave it out, or name values")
    return Condition(frozenset(values))


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
