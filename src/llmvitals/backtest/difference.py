"""Compares the episodes of two rule sets over the same calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmvitals.backtest.episodes import Episode


@dataclass(frozen=True, slots=True)
class Pair:
    """An episode of one rule set and the overlapping one of the other; None if there is none."""

    ours: Episode | None
    theirs: Episode | None

    @property
    def either(self) -> Episode:
        """Ours, or theirs if ours is missing."""
        found = self.ours or self.theirs
        if found is None:
            raise ValueError("a pair without an episode")
        return found

    @property
    def same(self) -> bool:
        """Whether both exist, with the same begin and end."""
        ours, theirs = self.ours, self.theirs
        return bool(ours and theirs and (ours.begin, ours.end) == (theirs.begin, theirs.end))


@dataclass(frozen=True, slots=True)
class Change:
    """The number of a rule's episodes: only in ours, only in theirs, the same in both, and at other times."""

    rule: str
    only_ours: int
    only_theirs: int
    same: int
    moved: int


def compared(ours: Sequence[Episode], theirs: Sequence[Episode]) -> list[Pair]:
    """Pair the episodes of both, in the order of time.

    Of each rule and series, the earliest episodes that overlap form a pair; each episode is in one pair.
    """
    mine, others = _by_series(ours), _by_series(theirs)
    pairs = [pair for key in {**mine, **others} for pair in _paired(mine.get(key, []), others.get(key, []))]
    return sorted(pairs, key=lambda pair: (pair.either.begin, pair.either.rule, pair.either.series))


def changes(pairs: Sequence[Pair]) -> list[Change]:
    """Count the pairs by rule."""
    rules = sorted({pair.either.rule for pair in pairs})
    return [_change(rule, [pair for pair in pairs if pair.either.rule == rule]) for rule in rules]


def _change(rule: str, pairs: Sequence[Pair]) -> Change:
    both = [pair for pair in pairs if pair.ours and pair.theirs]
    same = sum(pair.same for pair in both)
    return Change(
        rule,
        only_ours=sum(pair.theirs is None for pair in pairs),
        only_theirs=sum(pair.ours is None for pair in pairs),
        same=same,
        moved=len(both) - same,
    )


def _by_series(found: Sequence[Episode]) -> Mapping[tuple[str, str], list[Episode]]:
    series: dict[tuple[str, str], list[Episode]] = {}
    for episode in sorted(found, key=lambda episode: episode.begin):
        series.setdefault((episode.rule, episode.series), []).append(episode)
    return series


def _paired(ours: Sequence[Episode], theirs: Sequence[Episode]) -> Iterator[Pair]:
    left, right = [*reversed(ours)], [*reversed(theirs)]
    while left and right:
        mine, other = left[-1], right[-1]
        if mine.begin <= _end(other) and other.begin <= _end(mine):
            yield Pair(left.pop(), right.pop())
        elif mine.begin < other.begin:
            yield Pair(left.pop(), None)
        else:
            yield Pair(None, right.pop())
    yield from (Pair(episode, None) for episode in reversed(left))
    yield from (Pair(None, episode) for episode in reversed(right))


def _end(episode: Episode) -> int:
    return FOREVER if episode.end is None else episode.end
