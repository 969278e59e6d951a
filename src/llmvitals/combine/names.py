"""Names as small integers, so that numpy can count by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from llmvitals.record.view import OTHER, UNKNOWN

Name = TypeVar("Name", str, tuple[str, ...])

ABSENT: Final = -1
"""The code of a name that is not there."""
LONGEST: Final = 256
"""Characters of a name."""


class Codes(dict[Any, int], Generic[Name]):
    """What a call says → a code from 0 on, in the order of first meeting; ABSENT where it says nothing.

    spell: the name of what a call says, None for nothing. Whatever is spelled alike has one code.
    """

    def __init__(self, spell: Callable[[Any], Name | None]) -> None:
        super().__init__()
        self.names: list[Name] = []
        self._spell: Callable[[Any], Name | None] = spell
        self._spelled: dict[Name, int] = {}

    def __missing__(self, said: Any) -> int:
        name = self._spell(said)
        code = ABSENT if name is None else self._spelled.setdefault(name, len(self.names))
        if name is not None and code == len(self.names):
            self.names.append(name)
        self[said] = code
        return code

    def of(self, column: Iterable[Any]) -> list[int]:
        """The code of each item of a column."""
        return list(map(self.__getitem__, column))


def clean(name: str) -> str:
    """A name that can be written and shown anywhere: no control or bidi characters, no lone surrogates."""
    name = name[:LONGEST]
    return name if name.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in name)


def plain(name: str | None) -> str | None:
    """A name as it is, cleaned; None for the empty one."""
    return clean(name) if name else None


def at_version(prompt: tuple[str | None, str | None]) -> str | None:
    """`name@version`; the name alone where there is no version.

    >>> at_version(("answer", "v7"))
    'answer@v7'
    """
    name, version = prompt
    if not name:
        return None
    return clean(f"{name}@{version}" if version else name)


def profile(dimensions: Sequence[str | None]) -> tuple[str, ...]:
    """The values of dimensions, UNKNOWN for an absent one; a caller's own OTHER is not taken for ours."""
    named = [clean(value) if value else UNKNOWN for value in dimensions]
    return tuple([f"{name}_" if name == OTHER else name for name in named])
