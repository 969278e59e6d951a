"""Compares two periods of a series and splits the change between them by key and factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.rootcause.keys import keys_of, per_unit
from llmvitals.stats.lmdi import rounded, split
from llmvitals.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.rootcause.decomposition import Decomposition
    from llmvitals.rootcause.keys import Key
    from llmvitals.sketch import top_k

SHIFTED: Final = 0.1
"""The least change of a key's share of the calls that counts as a shift."""


class Period(NamedTuple):
    """The sums of a period. length: event time, µs. total: of all calls. names: of the top contributors."""

    length: int
    total: top_k.Share
    names: top_k.Contributors


class Comparison:
    """Both periods, per hour or per call.

    kind: the kind of the keys, "" for none. keys: the keys of that kind, and the rest. effects: (key, factor)
    → its part of the change. whole: the whole change. Both are integers (see Decomposition.scale).
    """

    def __init__(
        self, decomposition: Decomposition, before: Period, now: Period, fixed: Collection[str]
    ) -> None:
        self.decomposition, self.fixed = decomposition, fixed
        self.before, self.now = (
            per_unit(
                period.total,
                period.names,
                period.total[0] if decomposition.per_call else period.length / HOUR,
            )
            for period in (before, now)
        )
        self.models = keys_of("model", self.before, self.now)
        self.kind = next(filter(self._covers, decomposition.kinds), "")
        self.keys = keys_of(self.kind, self.before, self.now)
        self.effects = self.split(self.keys)
        self.whole = sum(self.effects.values())

    def split(self, keys: Mapping[str, Key]) -> dict[tuple[str, str], int]:
        """Split the change by these keys. The parts sum to the whole for any keys."""
        steady = all(abs(self.shift(key)) < SHIFTED for key in self.models.values())
        items = [
            item
            for name, key in keys.items()
            for item in self.decomposition.items(name, key.before, key.now, steady=steady)
        ]
        return rounded(split(items, (self.before.total[0], self.now.total[0])))

    def shift(self, key: Key) -> float:
        """The change of a key's share of the calls."""
        return key.now[0] / self.now.total[0] - key.before[0] / self.before.total[0]

    def _covers(self, kind: str) -> bool:
        """Whether keys of this kind cover half of the sum, and the series does not fix the kind."""
        weight, sides = self.decomposition.weight, (self.before, self.now)
        named = sum(share[weight] for side in sides for share in side.names.get(kind, {}).values())
        return kind not in self.fixed and named * 2 >= sum(side.total[weight] for side in sides)


def by_key(effects: Mapping[tuple[str, str], int], factor: str) -> dict[str, int]:
    """Key → its part of the change through a factor."""
    return {key: effect for (key, named), effect in effects.items() if named == factor}
