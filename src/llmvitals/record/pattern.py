r"""Regexes of users. They are run by RE2, so a search takes linear time, whatever the regex.

The syntax is that of Python's `re` without the features that need backtracking: look-ahead and look-behind,
back references, possessive repeats. `\w`, `\d` and `\s` match all of Unicode, as in Python.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import re2

LONGEST: Final = 200
"""Characters of a regex."""
_MEMORY: Final = 1 << 18
"""Bytes of a compiled regex. A search with one of this size takes some milliseconds."""

_CLASSES: Final = {
    "w": r"\p{L}\p{N}_",
    "d": r"\p{Nd}",
    "s": r"\s\x0b\x1c-\x1f\x{85}\p{Z}",
}
"""The meaning of these escapes in Python. Those of RE2 match ASCII only."""
_CODE_POINT: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_AT_MOST: Final = re.compile(r"\{,(\d+)\}")
_FLAT: Final = "write it without, or as two conditions, or as a list of values"
_CURES: Final = {
    "(?=": f"look-ahead is not supported: {_FLAT}",
    "(?!": f"look-ahead is not supported: {_FLAT}; {{not: …}} and !~ say what must not match",
    "(?<": f"look-behind is not supported: {_FLAT}",
    "(?P=": f"back references are not supported: {_FLAT}",
    "invalid escape": "back references are not supported, nor is every escape: write a character as itself",
    "(?": "this kind of group is not supported: use (…), (?:…) and (?i)",
    "no argument": "write what is to be repeated before it",
    "repetition operator": "one repeat after another is not supported: put the first into (?:…)",
    "repetition": "repeat at most 1,000 times",
    "too large": "use fewer or shorter repeats",
}
"""Part of RE2's message → what to do. The first match counts."""


def matches(regex: str, value: str) -> bool:
    """Whether the regex matches the whole value. Raises ValueError where `checked` does."""
    return _compiled(regex).fullmatch(value.encode("utf-8", "replace")) is not None


def checked(name: str, regex: Any) -> str:
    """Return the regex if it is valid.

    Name: the field, for the message. Raises ValueError with what to do.
    """
    if not isinstance(regex, str) or len(regex) > LONGEST:
        raise ValueError(f"{name}: the regex must be a text of at most {LONGEST} characters")
    try:
        _compiled(regex)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return regex


@lru_cache(1_024)
def _compiled(regex: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(translated(regex).encode("utf-8", "replace"), options)
    except re2.error as error:
        message = error.args[0] if error.args else ""
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
        text = text.replace("(?P", "(?P=") if "(?P=" in regex else text
        cure = next((cure for part, cure in _CURES.items() if part in text), "")
        raise ValueError(f"the regex is wrong: {text}" + (f": {cure}" if cure else "")) from error


def translated(regex: str) -> str:
    r"""Translate a regex of Python to RE2 with the same meaning.

    Raises ValueError for \W and \S inside of [...], which RE2 can't express.

    >>> translated(r"\w{,3}[\d\]]\Z")
    '[\\p{L}\\p{N}_]{0,3}[\\p{Nd}\\]]\\z'
    """
    out, at, inside = [], 0, False
    while at < len(regex):
        char = regex[at]
        token = regex[at : at + 2] if char == "\\" else char
        if char == "\\":
            if match := _CODE_POINT.match(regex, at):
                token = match[0]
            out.append(_escape(token, inside=inside))
        elif inside:
            inside = char != "]"
            out.append("\\[" if char == "[" else char)
        elif char == "[":
            # A closing bracket in the first place is an ordinary character.
            token = re.match(r"\[\^?\]?", regex[at:])[0]  # type: ignore[index] # it begins with [
            out.append(token.replace("]", "\\]"))
            inside = True
        elif match := _AT_MOST.match(regex, at):
            token = match[0]
            out.append(f"{{0,{match[1]}}}")
        else:
            out.append(char)
        at += len(token)
    return "".join(out)


def _escape(token: str, *, inside: bool) -> str:
    """Translate an escape to RE2. inside: of [...]."""
    if match := _CODE_POINT.fullmatch(token):
        return f"\\x{{{match[1] or match[2]}}}"
    letter = token[1:]
    if letter == "Z" and not inside:
        return "\\z"
    if letter == "b" and inside:
        return "\\x08"
    if letter in _CLASSES:
        return _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
    if letter and letter.lower() in _CLASSES and letter.isupper():
        if not inside:
            return f"[^{_CLASSES[letter.lower()]}]"
        if letter != "D":
            why = f"{token} inside of […] is not supported: list the characters that may match"
            raise ValueError(f"the regex is wrong: {why}")
        return "\\P{Nd}"
    return token
