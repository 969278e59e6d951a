"""`team=search`, `rule=~Slow.*`: which alerts something is about, as Alertmanager writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec

from llmvitals.record.pattern import checked, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Op = Literal["=", "!=", "=~", "!~"]

_FORM: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]{0,80})\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
LONGEST: Final = 256


class Matcher(msgspec.Struct, frozen=True):
    """A condition on one label of an alert (`Alert.marks`); a label that is not there is the empty text."""

    name: str
    op: Op
    value: str

    def matches(self, marks: Mapping[str, str]) -> bool:
        """Whether an alert with these marks is meant."""
        value = marks.get(self.name, "")
        if self.op in ("=", "!="):
            return (value == self.value) == (self.op == "=")
        return matches(self.value, value) == (self.op == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


def parsed(text: str) -> Matcher:
    """The matcher in `team=search`, `team!="search"`, `rule=~Slow.*`, `team!~a|b`.

    Raises ValueError with the cure, also for a regex that is none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no matcher: write label=value, label!=value, label=~regex or label!~regex"
        )
    name, op, value = found.groups()
    if value.startswith(("=", "~")):
        raise ValueError(
            f"{text!r}: {op}{value[0]} is none of =, !=, =~ and !~: write {name}={value.strip('=~ ')}"
        )
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if len(value) > LONGEST:
        raise ValueError(f"{name}: longer than {LONGEST} characters: shorten it")
    if op in ("=~", "!~"):
        checked(name, value)
    return Matcher(name, cast("Op", op), value)


def all_match(matchers: Iterable[Matcher], marks: Mapping[str, str]) -> bool:
    """Whether every matcher matches."""
    return all(matcher.matches(marks) for matcher in matchers)
