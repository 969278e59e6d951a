"""Finds patterns and operators that were written where a plain value is compared as it is."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_OPERATOR: Final = re.compile(r"\s*(=~|!~|!=|==|=|~|!)\s*(.*?)\s*", re.DOTALL)
_REGEX: Final = re.compile(r"\.[*+]|^\^")


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
