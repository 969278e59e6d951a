"""Two times of a series, and the change between them by key and factor: what a root-cause line tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.rootcause.keys import keyed, side
from llmvitals.stats.lmdi import rounded, split
from llmvitals.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.rootcause.keys import Key
    from llmvitals.rootcause.products import Subject
    from llmvitals.sketch import top_k

SHIFTED: Final = 0.1
"""A key has more or fewer of the calls when its share of them changed by this much."""


class Span(NamedTuple):
    """What some time held. length: event time, µs; total: of everything, names: of the heaviest."""

    length: int
    total: top_k.Share
    names: top_k.Contributors


class Case:
    """Both times, per hour or per call.

    kind: of the keys, "" where there are none; keys: its keys and the rest. effects: (key, factor) → its part
    of the change, and whole: all of it, in the integers that are added up (see Subject.scale).
    """

    def __init__(self, about: Subject, before: Span, now: Span, fixed: Collection[str]) -> None:
        self.about, self.fixed = about, fixed
        self.before, self.now = (
            side(span.total, span.names, span.total[0] if about.each else span.length / HOUR)
            for span in (before, now)
        )
        self.models = keyed("model", self.before, self.now)
        self.kind = next(filter(self._covers, about.kinds), "")
        self.keys = keyed(self.kind, self.before, self.now)
        self.effects = self.split(self.keys)
        self.whole = sum(self.effects.values())

    def split(self, keys: Mapping[str, Key]) -> dict[tuple[str, str], int]:
        """The parts of the change by these keys; they sum to the whole whatever the keys."""
        steady = all(abs(self.shift(key)) < SHIFTED for key in self.models.values())
        items = [
            item
            for name, key in keys.items()
            for item in self.about.items(name, key.before, key.now, steady=steady)
        ]
        return rounded(split(items, (self.before.total[0], self.now.total[0])))

    def shift(self, key: Key) -> float:
        """By how much a key's share of the calls has changed."""
        return key.now[0] / self.now.total[0] - key.before[0] / self.before.total[0]

    def _covers(self, kind: str) -> bool:
        """Whether most of what is explained has a key of this kind, and the series doesn't fix it."""
        weight, sides = self.about.weight, (self.before, self.now)
        named = sum(share[weight] for one in sides for share in one.names.get(kind, {}).values())
        return kind not in self.fixed and named * 2 >= sum(one.total[weight] for one in sides)


def by_key(effects: Mapping[tuple[str, str], int], factor: str) -> dict[str, int]:
    """Key → its part of the change through a factor."""
    return {key: effect for (key, named), effect in effects.items() if named == factor}
