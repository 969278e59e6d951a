"""Gives names small integers, so that numpy can count by them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.view import OTHER, UNKNOWN

Name = TypeVar("Name", str, tuple[str, ...])

ABSENT: Final = -1
"""The code of a name that is not there."""
LONGEST: Final = 256
"""Characters of a name."""


class Codes(dict[Any, int], Generic[Name]):
    """Value of a field → code. Codes count from 0 in the order in which names first appear; ABSENT: no name.

    normalize: makes the name of a value, None for no name. Values with the same name have the same code.
    """

    def __init__(self, normalize: Callable[[Any], Name | None]) -> None:
        super().__init__()
        self.names: list[Name] = []
        self._normalize: Callable[[Any], Name | None] = normalize

    def __missing__(self, value: Any) -> int:
        name = self._normalize(value)
        # A name is a value of its own: it is its own name, or no value is like it.
        code = ABSENT if name is None else self.setdefault(name, len(self.names))
        if name is not None and code == len(self.names):
            self.names.append(name)
        self[value] = code
        return code

    def of(self, column: Iterable[Any], count: int) -> NDArray[np.int64]:
        """Look up the code of each item of a column, `count` of them."""
        return np.fromiter(map(self.__getitem__, column), np.int64, count)


def clean(name: str) -> str:
    r"""Give a name one spelling that can be shown, so that names that look the same are the same.

    It is in Unicode's normal form NFC, without characters that nobody sees (control, zero width, bidi) and
    without white space around it, other white space is a blank, and it has at most LONGEST characters. What
    can't be printed otherwise, such as a lone surrogate, becomes U+FFFD. "": nothing of it can be seen.

    >>> clean(" se\u200barch\n")
    'search'
    """
    if not name.isascii() or not name.isprintable():
        name = unicodedata.normalize("NFC", _INVISIBLE.sub("", _SPACE.sub(" ", name)))
        name = name if name.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in name)
    return name.strip()[:LONGEST].rstrip()


def clean_all(names: Sequence[str]) -> Sequence[str]:
    """Clean each of these names; quick where all are clean, as nearly always."""
    together = "".join(names)
    plain_text = together.isascii() and together.isprintable() and " " not in together
    if plain_text and max(map(len, names), default=0) <= LONGEST:
        return names
    return [clean(name) for name in names]


_SPACE: Final = re.compile(r"\s+")
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Control characters, and Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt)."""


def plain(name: str | None) -> str | None:
    """Clean a name; None for one of which nothing is left."""
    return (clean(name) or None) if name else None


def at_version(prompt: tuple[str | None, str | None]) -> str | None:
    """Join a prompt's name and version to `name@version`; without a version it is the name alone.

    >>> at_version(("answer", "v7"))
    'answer@v7'
    """
    name, version = plain(prompt[0]), plain(prompt[1])
    return clean(f"{name}@{version}") if name and version else name


def error_in_app(failed: tuple[str | None, str | None] | None) -> str | None:
    """Join a failed call's error type and app; None for a call that did not fail.

    >>> error_in_app(("rate_limit", "chat"))
    'rate_limit in chat'
    """
    if failed is None:
        return None
    error_type, app = failed
    name, place = (plain(error_type) or UNKNOWN)[: LONGEST // 2], plain(app)
    return clean(f"{name} in {place}" if place else name)


def profile(dimensions: Sequence[str | None]) -> tuple[str, ...]:
    """Clean the values of dimensions. An absent one is UNKNOWN; a caller's own `_other` becomes `_other_`."""
    named = [plain(value) or UNKNOWN for value in dimensions]
    return tuple([f"{name}_" if name == OTHER else name for name in named])
