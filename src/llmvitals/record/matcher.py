"""Matchers of alerts, such as `team=search` or `rule=~Slow.*`, in the syntax of Alertmanager."""

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
    """A condition on one label of an alert (`Alert.marks`). A missing label has the value ""."""

    name: str
    op: Op
    value: str

    def matches(self, marks: Mapping[str, str]) -> bool:
        """Whether an alert with these labels matches."""
        value = marks.get(self.name, "")
        if self.op in ("=", "!="):
            return (value == self.value) == (self.op == "=")
        return matches(self.value, value) == (self.op == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


def parsed(text: str) -> Matcher:
    """Parse a matcher such as `team=search`, `team!="search"`, `rule=~Slow.*` or `team!~a|b`.

    Raises ValueError that says what to write, also for a wrong regex.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no matcher: write label=value, label!=value, label=~regex or label!~regex"
        )
    name, op, value = match.groups()
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
