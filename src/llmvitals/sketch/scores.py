"""Scores by name: what evaluations, judges and people say of answers, as exact sums.

Law: merging adds name by name and keeps the MOST first names in the order of text. A name among the first of
the whole is among the first of every part that has it, so a sum that is kept is complete, and merging is
associative and commutative with the empty one as identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 32
"""Names that are kept of a series in a pane or window."""
LIMIT: Final = 1_000_000
"""A score beyond this, up or down, counts as this."""
MICRO: Final = 1_000_000

Scores = dict[str, tuple[int, int]]
"""name → how many, and their sum in millionths, which may be negative"""


def merge_scores(parts: Iterable[Scores]) -> Scores:
    """The sum, name by name, cut."""
    merged: Scores = {}
    for part in parts:
        for name, (count, total) in part.items():
            had = merged.get(name, (0, 0))
            merged[name] = (had[0] + count, had[1] + total)
    return first(merged)


def first(scores: Scores) -> Scores:
    """The MOST first names."""
    return scores if len(scores) <= MOST else {name: scores[name] for name in sorted(scores)[:MOST]}
