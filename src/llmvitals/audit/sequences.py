"""Finds holes in ids that are numbered, such as `search-1041`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

_NUMBERED: Final = re.compile(r"(.*?)(\d{1,15})", re.ASCII | re.DOTALL)
_LEAST: Final = 10
"""Ids with one prefix that make a sequence."""
_DENSE: Final = 0.5
"""The least share of its numbers that a sequence has: ids at random have fewer."""
_PREFIXES: Final = 100_000
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence of ids. first, last: its numbers. missing: how many are absent; examples: some of them."""

    prefix: str
    first: int
    last: int
    missing: int
    examples: tuple[str, ...]


class Sequences:
    """Collects ids. Of more than 100,000 prefixes the further ones are not looked at."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, set[int]] = defaultdict(set)
        self._widths: dict[str, int] = {}

    def add(self, name: str) -> None:
        """Add an id."""
        match = _NUMBERED.fullmatch(name)
        if match is None or (len(self._numbers) >= _PREFIXES and match[1] not in self._numbers):
            return
        prefix, digits = match[1], match[2]
        self._numbers[prefix].add(int(digits))
        self._widths[prefix] = min(len(digits), self._widths.get(prefix, len(digits)))

    def found(self) -> list[Sequence]:
        """The sequences, those with the most missing numbers first."""
        found = []
        for prefix, numbers in self._numbers.items():
            first, last = min(numbers), max(numbers)
            length = last - first + 1
            if len(numbers) < _LEAST or len(numbers) < length * _DENSE:
                continue
            width = self._widths[prefix]
            gone = (number for number in range(first, last + 1) if number not in numbers)
            examples = tuple(
                f"{prefix}{number:0{width}d}" for _, number in zip(range(_NAMED), gone, strict=False)
            )
            found.append(Sequence(prefix, first, last, length - len(numbers), examples))
        return sorted(found, key=lambda one: (-one.missing, one.prefix))
