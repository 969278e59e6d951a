"""Two periods side by side, key by key; calls without a named key form a key of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.sketch import top_k

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REST: Final = ""
"""The key of the calls that no named key covers."""
TOKENLESS: Final = "tokenless"
"""A kind with one key, REST: the number of calls without known tokens."""
HIDDEN: Final = 2
"""A key that is missing in one period is new (or gone) if its weight is at least this multiple of what the
rest of that period could hide; otherwise it belongs to the rest of both periods."""

Floats = tuple[float, ...]
"""A top_k.Share per hour or per call."""
NONE: Final[Floats] = (0.0,) * len(top_k.NO_SHARE)


class Side(NamedTuple):
    """One period: all calls, and kind → name → share of the top contributors."""

    total: Floats
    names: Mapping[str, Mapping[str, Floats]]


class Key(NamedTuple):
    """A key's shares before and now; label: the name to show for it."""

    before: Floats
    now: Floats
    label: str


def per_unit(total: top_k.Share, names: top_k.Contributors, unit: float) -> Side:
    """Divide all shares by the unit."""
    return Side(
        tuple([amount / unit for amount in total]),
        {
            kind: {name: tuple([amount / unit for amount in share]) for name, share in shares.items()}
            for kind, shares in names.items()
        },
    )


def keys_of(kind: str, before: Side, now: Side) -> dict[str, Key]:
    """The keys of a kind, and the rest.

    All versions of a prompt are one key: a new version is to be compared with the old side.
    """
    # Names were ranked by cost, or by tokens where nothing costs anything.
    place = 1 if before.total[1] and now.total[1] else 2
    old, new = _grouped(kind, before), _grouped(kind, now)
    hides = _hides(before, old, place), _hides(now, new, place)
    kept = [
        key
        for key in sorted({*old, *new})
        if (key in old or new[key][place] >= HIDDEN * hides[0])
        and (key in new or old[key][place] >= HIDDEN * hides[1])
    ]
    keys = {
        key: Key(old.get(key, NONE), new.get(key, NONE), _label(kind, key, (before, now), place))
        for key in kept
    }
    old_rest = _less(before.total, [old.get(key, NONE) for key in kept])
    new_rest = _less(now.total, [new.get(key, NONE) for key in kept])
    return {**keys, REST: Key(old_rest, new_rest, "")}


def total_of(shares: Iterable[Floats]) -> Floats:
    """The sum, independent of the order."""
    return tuple(map(math.fsum, zip(*shares, strict=True))) or NONE


def _group(kind: str, name: str) -> str:
    return name.rpartition("@")[0] or name if kind == "prompt" else name


def _grouped(kind: str, side: Side) -> dict[str, Floats]:
    shares: dict[str, list[Floats]] = {}
    for name, share in side.names.get(kind, {}).items():
        shares.setdefault(_group(kind, name), []).append(share)
    return {key: total_of(shares) for key, shares in shares.items()}


def _hides(side: Side, shares: Mapping[str, Floats], place: int) -> float:
    """The greatest possible weight of a key that is not named."""
    rest = _less(side.total, list(shares.values()))[place]
    return min([rest, *(share[place] for share in shares.values())])


def _less(total: Floats, parts: list[Floats]) -> Floats:
    return tuple([max(0.0, all_ - part) for all_, part in zip(total, total_of([NONE, *parts]), strict=True)])


def _label(kind: str, key: str, sides: tuple[Side, Side], place: int) -> str:
    """The name of a key that grew most, or the heaviest if none grew."""
    old, new = (side.names.get(kind, {}) for side in sides)
    mine = sorted(name for name in {*old, *new} if _group(kind, name) == key)
    weight = {name: new.get(name, NONE)[place] for name in mine}
    grown = {name: weight[name] - old.get(name, NONE)[place] for name in mine}
    best = max(mine, key=grown.__getitem__)
    return best if grown[best] > 0 else max(mine, key=weight.__getitem__)
