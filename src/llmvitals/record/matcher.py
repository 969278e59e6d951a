"""`team=search`, `rule=~Slow.*`: which alerts something is about, as Alertmanager writes it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Op = Literal["=", "!=", "=~", "!~"]

_FORM: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]{0,80})\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
LONGEST: Final = 256
LONGEST_REGEX: Final = 200
_ESCAPED: Final = re.compile(r"\\[^0-9]|\[\^?.[^\]]*\]")
_HARMFUL: Final = re.compile(r"\)[*+{]|\\[0-9]|\(\?P=|\(\?[a-zA-Z]*x")
"""Repeated groups and back-references: what makes a search exponential; x: blanks would hide them."""
_REPEAT: Final = re.compile(r"[*+]|\{\d*,\d*\}")
_NO_OPTION: Final = re.compile(r"(?<=[(*}])\?")
_WIDE: Final = 128
"""Places in a text that each repeat may reach to."""
_MOST: Final = _WIDE**3
"""Steps of a search, at most: some hundredths of a second."""


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
        return (_compiled(self.value).fullmatch(value) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


def parsed(text: str) -> Matcher:
    """The matcher in `team=search`, `team!="search"`, `rule=~Slow.*`, `team!~a|b`.

    Raises ValueError with the cure, also for a regex that could run for ever.
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
        safe_regex(name, value)
    return Matcher(name, cast("Op", op), value)


def safe_regex(name: str, regex: Any) -> str:
    """The regex, if its search ends soon whatever it is matched with; name: whose it is.

    Raises ValueError with the cure.
    """
    if not isinstance(regex, str) or len(regex) > LONGEST_REGEX:
        raise ValueError(f"{name}: regex has to be a text of at most {LONGEST_REGEX} characters")
    bare = _ESCAPED.sub("x", regex)
    if _HARMFUL.search(bare) or _steps(bare) > _MOST:
        raise ValueError(
            f"{name}: this regex could run for ever: repeat single characters, not groups, at most 3 times "
            "in one alternative, and use less of ? and (a|b); a list of values is often enough"
        )
    try:
        _compiled(regex)
    except re.error as error:
        raise ValueError(f"{name}: the regex is wrong at {error.pos}: {error.msg}") from error
    return regex


def _steps(bare: str) -> int:
    """How many ways a search may try, roughly; bare: a regex without what is escaped.

    Alternatives outside of groups add up; a group's, what may be left out and repeats multiply.
    """
    bare = _NO_OPTION.sub("", _REPEAT.sub("*", bare))
    total, ways, groups = 0, 1, list[int]()
    for letter in f"{bare}|":
        if letter == "|" and not groups:
            total, ways = total + ways, 1
        elif letter == "|":
            groups[-1] += 1
        elif letter == "(":
            groups.append(1)
        elif letter == ")" and groups:
            ways *= groups.pop()
        elif letter == "*":
            ways *= _WIDE
        elif letter == "?":
            ways *= 2
    return total


def all_match(matchers: Iterable[Matcher], marks: Mapping[str, str]) -> bool:
    """Whether every matcher matches."""
    return all(matcher.matches(marks) for matcher in matchers)


@lru_cache(1_024)
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)
