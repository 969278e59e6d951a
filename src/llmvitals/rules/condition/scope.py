# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""What every condition has: `by`, one series per value; `where`, the calls it is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from llmvitals.errors import checked, suggestion
from llmvitals.record.pattern import checked as checked_regex
from llmvitals.record.view import DIMENSIONS, Condition
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.window import DAY, SECOND, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmvitals.record.reading import NoData

__all__ = ["Scope", "Where", "Window", "condition", "known", "suggestion"]

Where = tuple[tuple[str, Condition], ...]
"""Dimension → what it has to be, sorted by dimension."""

_TAG: Final = re.compile(r"tags\.[A-Za-z0-9_.-]{1,64}")


class Scope(BaseModel):
    """The part that the conditions of all kinds share.

    grave: levels at which an alert is critical, whatever its rule says, and that it keeps to its end.
    silence, severity: what a rule's `no_data` and severity are if the rule doesn't say. meaning: whether
    it reads the sums of embeddings. measurement: that of its points, "" where there are none.
    """

    facets: ClassVar[Mapping[str, str]] = {}
    grave: ClassVar[frozenset[str]] = frozenset()
    silence: ClassVar[NoData] = "ok"
    severity: ClassVar[str] = "warning"
    meaning: ClassVar[bool] = False
    measurement: ClassVar[str] = ""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    by: tuple[str, ...] = Field((), max_length=4)
    where: Where = ()

    @property
    def arm(self) -> str:
        """The dimension whose values are compared with each other, "" for none; not among `by`."""
        return ""

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """Have a detector's state go by a memory that it learned elsewhere, None: by none, so that it learns.

        False where this kind learns nothing. Raises ValueError where the memory is none of this kind's.
        """
        del state, memory
        return False

    @property
    def shown(self) -> bool:
        """Whether its readings are points too."""
        return False

    @field_validator("by", mode="before")
    @classmethod
    def _by(cls, value: Any) -> tuple[str, ...]:
        if isinstance(value, list | tuple) and not value:
            return ()
        return listed(value, known, "dimension", "write a list of dimensions, such as [team]")

    @field_validator("where", mode="before")
    @classmethod
    def _where(cls, value: Any) -> Where:
        if isinstance(value, tuple):
            return value
        if not isinstance(value, dict):
            raise ValueError("write dimension: value, such as {environment: prod}")
        wanted = checked(value.items(), lambda name, wanted: condition(known(name), wanted))
        return tuple(sorted(wanted.items()))


def listed(value: Any, check: Callable[[Any], object], what: str, cure: str) -> tuple[str, ...]:
    """A name or a list of them, each of which `check` takes, and none twice.

    what: one of them is called. Raises ValueError; cure: what it says where there is no list of any.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError(cure)
    checked(enumerate(names), lambda _, name: check(name))
    if len(set(names)) < len(names):
        raise ValueError(f"a {what} stands there twice: leave one out")
    return tuple(names)


def known(name: Any) -> str:
    """The name, if it is a dimension's. Raises ValueError with a suggestion."""
    if isinstance(name, str) and (name in DIMENSIONS or _TAG.fullmatch(name)):
        return name
    raise ValueError(f"{name!r} is no dimension{suggestion(str(name), [*DIMENSIONS, 'tags.NAME'])}")


def _window(value: Any, info: ValidationInfo) -> int:
    length = duration(value)
    if length > DAY:
        raise ValueError(f"{value} is too long: at most 24h; a budget with rolling goes further")
    bucket_length(length, info.context["pane"] if info.context else SECOND)
    return length


Window = Annotated[int, BeforeValidator(_window)]
"""The length (µs) of a trailing window that a rule asks for."""


def condition(name: str, wanted: Any) -> Condition:
    """What a dimension has to be, as rules write it. Raises ValueError with the cure."""
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
            raise ValueError(f"{name}: {value!r} is no text: put it in quotes, such as '{value}'")
    if not values:
        raise ValueError(f"{name}: the list is empty, so nothing would match: leave it out, or name values")
    return Condition(frozenset(values))
