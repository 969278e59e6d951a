"""What the roster knows of a view, without its names."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import accumulate
from typing import Final

import msgspec

from llmvitals.window import NEVER

EXAMPLES: Final = 5
"""Examples of cut names in a point of cardinality."""
SAMPLE: Final = 256
"""Hashes that are kept to estimate the number of cut names."""
LONGEST: Final = 64
"""Characters of an example."""


class ViewState(msgspec.Struct, array_like=True):
    """The state of a view, without its names.

    last_cut: the greatest pane in which a name was cut. period: the one that the floor is in. cut: entries
    counted in `_other` in this period. reported: how many of them the last point contained. examples: of
    their names. least: the SAMPLE least hashes of their names, to estimate how many names there were.
    live: the homes (see View) of earlier periods that had a place when this one began.
    """

    last_cut: int = NEVER
    period: int = NEVER
    cut: int = 0
    reported: int = 0
    examples: tuple[str, ...] = ()
    least: tuple[int, ...] = ()
    live: int = 0

    def note_cut(self, key: bytes, series: tuple[str, ...]) -> None:
        """Count an entry whose name was cut."""
        self.cut += 1
        if len(self.examples) < EXAMPLES and (name := _printable(series)) not in self.examples:
            self.examples = (*self.examples, name)
        digest = int.from_bytes(hashlib.blake2b(key, digest_size=7).digest())
        if (len(self.least) < SAMPLE or digest < self.least[-1]) and digest not in self.least:
            self.least = tuple(sorted((*self.least, digest))[:SAMPLE])

    def cut_names(self) -> int:
        """How many names were cut. From SAMPLE on it is an estimate, within some per cent."""
        if len(self.least) < SAMPLE:
            return len(self.least)
        return (SAMPLE - 1) * 2**56 // self.least[-1]

    def reset(self) -> None:
        """Begin a new period."""
        self.cut, self.reported, self.examples, self.least = 0, 0, (), ()


def _printable(series: tuple[str, ...]) -> str:
    text = "/".join(series)[:LONGEST]
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def live_homes(lives: Counter[tuple[int, int]], before: int, period: int) -> dict[int, int]:
    """The live homes of each period after `before`, up to this one.

    lives: homes by their first period, from the one after which they are live, and by their last.
    """
    since = max(before + 1, min((first for first, _ in lives), default=period))
    changes: Counter[int] = Counter()
    for (first, last), many in lives.items():
        changes[max(first + 1, since)] += many
        changes[last + 1] -= many
    live = accumulate(changes[number] for number in range(since, period + 1))
    return {period: 0} | dict(zip(range(since, period + 1), live, strict=True))
