# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""What every condition has: `by`, one series per value; `where`, the calls it is about."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llmvitals.record.view import DIMENSIONS, Condition

if TYPE_CHECKING:
    from collections.abc import Iterable

Where = tuple[tuple[str, Condition], ...]
"""Dimension → what it has to be, sorted by dimension."""

LONGEST_REGEX: Final = 200
_TAG: Final = re.compile(r"tags\.[A-Za-z0-9_.-]{1,64}")
MOST_REPEATS: Final = 3
_ESCAPED: Final = re.compile(r"\\[^0-9]|\[\^?.[^\]]*\]")
_HARMFUL: Final = re.compile(r"\)[*+{]|\\[0-9]|\(\?P=")
"""Repeated groups and back-references: what makes a search exponential."""
_REPEATS: Final = re.compile(r"[*+]|\{\d*,")


class Scope(BaseModel):
    """The part that the conditions of all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    by: tuple[str, ...] = Field((), max_length=4)
    where: Where = ()

    @field_validator("by", mode="before")
    @classmethod
    def _by(cls, value: Any) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list | tuple):
            raise ValueError("write a list of dimensions, such as [team]")
        for name in names:
            known(name)
        if len(set(names)) < len(names):
            raise ValueError("a dimension stands there twice: leave one out")
        return tuple(names)

    @field_validator("where", mode="before")
    @classmethod
    def _where(cls, value: Any) -> Where:
        if isinstance(value, tuple):
            return value
        if not isinstance(value, dict):
            raise ValueError("write dimension: value, such as {environment: prod}")
        return tuple(sorted((known(name), _condition(name, wanted)) for name, wanted in value.items()))


def known(name: Any) -> str:
    """The name, if it is a dimension's. Raises ValueError with a suggestion."""
    if isinstance(name, str) and (name in DIMENSIONS or _TAG.fullmatch(name)):
        return name
    raise ValueError(f"{name!r} is no dimension{suggestion(str(name), DIMENSIONS)}, or tags.NAME")


def suggestion(word: str, names: Iterable[str]) -> str:
    """The middle of an error text: the nearest name if there is one, else all of them."""
    names = list(names)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else f": write one of {', '.join(names)}"


def _condition(name: str, wanted: Any) -> Condition:
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in ("not", "regex"):
            raise ValueError(f"{name}: write a value, a list of values, {{not: …}} or {{regex: …}}")
        ((how, what),) = wanted.items()
        if how == "regex":
            return Condition(regex=_regex(name, what))
        inner = _condition(name, what)
        return Condition(inner.values, inner.regex, negate=not inner.negate)
    values = wanted if isinstance(wanted, list) else [wanted]
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"{name}: {value!r} is no text: put it in quotes, such as '{value}'")
    if not values:
        raise ValueError(f"{name}: the list is empty, so nothing would match: leave it out, or name values")
    return Condition(frozenset(values))


def _regex(name: str, text: Any) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_REGEX:
        raise ValueError(f"{name}: regex has to be a text of at most {LONGEST_REGEX} characters")
    bare = _ESCAPED.sub("x", text)
    if _HARMFUL.search(bare) or len(_REPEATS.findall(bare)) > MOST_REPEATS:
        raise ValueError(
            f"{name}: this regex could run for ever: repeat single characters, not groups, "
            f"and at most {MOST_REPEATS} times; a list of values is often enough"
        )
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{name}: the regex is wrong at {error.pos}: {error.msg}") from error
    return text
