"""Scores of answers by evaluations, judges and people, as exact sums by name.

Law: merging adds name by name and keeps the MOST names that come first in the alphabet. A name among the
first of all is among the first of every part that has it, so each sum that is kept is complete, and merging
is associative and commutative with the empty mapping as identity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 32
"""Names that a series keeps in a pane or window."""
LIMIT: Final = 1_000_000
"""Scores are limited to ± this."""
MICRO: Final = 1_000_000
HARMFUL: Final = frozenset({"profanity"})
"""The scores that are worse when they are higher."""

EVERY: Final = "*"
"""In the name of a metric: all scores but the harmful ones."""

ROOT: Final = 1_000
"""Squares are limited to the square of this, which is LIMIT."""

Score = tuple[int, int, int]
"""Count, sum (in millionths, may be negative) and sum of squares (in millionths)."""
NO_SCORE: Final[Score] = (0, 0, 0)

Scores = dict[str, Score]


def merge_scores(parts: Iterable[Scores]) -> Scores:
    """Add scores name by name, and keep the MOST first names."""
    merged: Scores = {}
    for part in parts:
        for name, (count, total, squares) in part.items():
            previous = merged.get(name, NO_SCORE)
            merged[name] = (previous[0] + count, previous[1] + total, previous[2] + squares)
    return first(merged)


def total_of(scores: Scores) -> Score:
    """The sums of all scores, except HARMFUL ones: what is worse when it is lower."""
    count = total = squares = 0
    for name, score in scores.items():
        if name not in HARMFUL:
            count, total, squares = count + score[0], total + score[1], squares + score[2]
    return count, total, squares


def first(scores: Scores) -> Scores:
    """Keep the MOST first names."""
    return scores if len(scores) <= MOST else {name: scores[name] for name in sorted(scores)[:MOST]}


def whole(scores: dict[str, tuple[int, ...]]) -> Scores:
    """Complete the scores of an older version, which had no squares, with squares of 0."""
    if any(len(score) < len(NO_SCORE) for score in scores.values()):
        return {name: (score[0], score[1], 0) for name, score in scores.items()}
    return cast("Scores", scores)


def mean(score: Score) -> float:
    """The mean of a score with a count above 0."""
    return score[1] / (score[0] * MICRO)


def deviation(score: Score) -> float | None:
    """The standard deviation of a score with a count above 0; None if its squares are not all known."""
    count, total, squares = score
    # In integers, because the difference of two large floats is inexact. Squares were rounded to a millionth.
    spread = squares * count * MICRO - total**2
    if spread < -(count**2) * MICRO:
        return None
    return math.sqrt(max(spread, 0)) / (count * MICRO)
