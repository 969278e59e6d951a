"""Scores by name: what evaluations, judges and people say of answers, as exact sums.

Law: merging adds name by name and keeps the MOST first names in the order of text. A name among the first of
the whole is among the first of every part that has it, so a sum that is kept is complete, and merging is
associative and commutative with the empty one as identity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 32
"""Names that are kept of a series in a pane or window."""
LIMIT: Final = 1_000_000
"""A score beyond this, up or down, counts as this."""
MICRO: Final = 1_000_000

ROOT: Final = 1_000
"""The square of a score beyond this counts as the square of this, which is LIMIT."""

Score = tuple[int, int, int]
"""How many, their sum in millionths, which may be negative, and that of their squares, in millionths."""
NO_SCORE: Final[Score] = (0, 0, 0)

Scores = dict[str, Score]


def merge_scores(parts: Iterable[Scores]) -> Scores:
    """The sum, name by name, cut."""
    merged: Scores = {}
    for part in parts:
        for name, (count, total, squares) in part.items():
            had = merged.get(name, NO_SCORE)
            merged[name] = (had[0] + count, had[1] + total, had[2] + squares)
    return first(merged)


def first(scores: Scores) -> Scores:
    """The MOST first names."""
    return scores if len(scores) <= MOST else {name: scores[name] for name in sorted(scores)[:MOST]}


def whole(scores: dict[str, tuple[int, ...]]) -> Scores:
    """Scores as they are; an older version's, which had no squares, with squares of 0."""
    if any(len(said) < len(NO_SCORE) for said in scores.values()):
        return {name: (said[0], said[1], 0) for name, said in scores.items()}
    return cast("Scores", scores)


def mean(said: Score) -> float:
    """The mean of a score that there is."""
    return said[1] / (said[0] * MICRO)


def deviation(said: Score) -> float | None:
    """The standard deviation of a score that there is; None where not all of its squares are known."""
    count, total, squares = said
    # In integers, for a small difference of great floats is noise; squares were rounded to the millionth.
    spread = squares * count * MICRO - total**2
    if spread < -(count**2) * MICRO:
        return None
    return math.sqrt(max(spread, 0)) / (count * MICRO)
