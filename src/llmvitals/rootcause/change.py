"""Compares two periods of a series and splits the change between them by key and factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.rootcause.decomposition import Ratios, unlisted, without_tokens
from llmvitals.rootcause.keys import NONE, REST, TOKENLESS, keys_of, per_unit
from llmvitals.stats.lmdi import rounded, split
from llmvitals.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.rootcause.decomposition import Decomposition, Ratio
    from llmvitals.rootcause.keys import Key, Side
    from llmvitals.sketch import top_k

SHIFTED: Final = 0.1
"""The least change of a key's share of the calls that counts as a shift."""
APART: Final = 0.9
"""Keys tell calls without tokens from others if they find this share of those that models find."""


class Period(NamedTuple):
    """The sums of a period.

    length, end: event time, µs. total: of all calls. names: of the top contributors.
    """

    length: int
    total: top_k.Share
    names: top_k.Contributors
    end: int = 0


class Comparison:
    """Both periods, per hour or per call.

    kind: the kind of the keys, "" for none. keys: the keys of that kind, and the rest. effects: (key, factor)
    → its part of the change. whole: the whole change. Both are integers (see Decomposition.scale).
    """

    def __init__(
        self,
        decomposition: Decomposition,
        before: Period,
        now: Period,
        fixed: Collection[str],
        *,
        ratio: Ratio = unlisted,
    ) -> None:
        self.decomposition, self.fixed, self.ratio = decomposition, fixed, ratio
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
        self.keys = self.models if self.kind == "model" else keys_of(self.kind, self.before, self.now)
        self.effects = self.split(self.keys)
        self.whole = sum(self.effects.values())

    def split(self, keys: Mapping[str, Key]) -> dict[tuple[str, str], int]:
        """Split the change by these keys. The parts sum to the whole for any keys."""
        steady = all(abs(self.shift(key)) < SHIFTED for key in self.models.values())
        # Where the tokens of more calls are unknown than before, cost / tokens is not what a token costs.
        hidden = abs(_hidden(self.now) - _hidden(self.before)) >= SHIFTED
        usual = (0.0, 0.0) if hidden else (_ratio(self.before, self.ratio), _ratio(self.now, self.ratio))
        items = []
        for name, key in keys.items():
            own = self.ratio(name) if name != REST and keys is self.models and not hidden else None
            ratios = Ratios(*(usual if own is None else (own, own)), steady)
            items += self.decomposition.items(name, key.before, key.now, ratios)
        return rounded(split(items, (self.before.total[0], self.now.total[0])))

    def shift(self, key: Key) -> float:
        """The change of a key's share of the calls."""
        return key.now[0] / self.now.total[0] - key.before[0] / self.before.total[0]

    def _covers(self, kind: str) -> bool:
        """Whether keys of this kind cover half of the sum, and the series does not fix the kind."""
        weight, sides = self.decomposition.weight, (self.before, self.now)
        named = sum(share[weight] for side in sides for share in side.names.get(kind, {}).values())
        covers = kind not in self.fixed and named * 2 >= sum(side.total[weight] for side in sides)
        return covers and (kind == "model" or self.decomposition.unit != "usd" or self._apart(kind))

    def _apart(self, kind: str) -> bool:
        """Whether keys of this kind tell calls without tokens from others as well as models do."""
        found, all_ = _tokenless(keys_of(kind, self.before, self.now)), _tokenless(self.models)
        return all(some >= APART * most for some, most in zip(found, all_, strict=True))


def _tokenless(keys: Mapping[str, Key]) -> list[float]:
    """The money of keys without tokens, before and now."""
    sides = [key.before for key in keys.values()], [key.now for key in keys.values()]
    return [sum(share[3] for share in shares if without_tokens(share)) for shares in sides]


def _hidden(side: Side) -> float:
    """The share of the calls whose tokens are unknown, though their model's are known."""
    models = sum(share[0] for share in side.names.get("model", {}).values() if without_tokens(share))
    calls = side.names.get(TOKENLESS, {}).get(REST, NONE)[0]
    return max(0.0, calls - models) / side.total[0]


def _ratio(side: Side, ratio: Ratio) -> float | None:
    """The ratio of all models of a side, by their money; None unless it is known for half of it."""
    shares = side.names.get("model") or {REST: side.total}
    known = [(share[3], found) for name, share in shares.items() if (found := ratio(name)) is not None]
    money = sum(weight for weight, _ in known)
    return sum(weight * found for weight, found in known) / money if money * 2 > side.total[3] else None


def by_key(effects: Mapping[tuple[str, str], int], factor: str) -> dict[str, int]:
    """Key → its part of the change through a factor."""
    return {key: effect for (key, named), effect in effects.items() if named == factor}
