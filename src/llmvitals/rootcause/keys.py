"""Two times side by side, key by key, and whatever the keys leave of the whole as a key of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.sketch import top_k

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REST: Final = ""
"""The key of what is not named."""
HIDDEN: Final = 2
"""A key that is missing at one time is new (or gone) when it weighs at least so many times as much as could
hide in the rest of that time; else it belongs to the rest at both times."""

Floats = tuple[float, ...]
"""A heavy.Share in proportion to something: to an hour, or to a call."""
NONE: Final[Floats] = (0.0,) * len(top_k.NO_SHARE)


class Side(NamedTuple):
    """What one of the times held: everything, and kind → name → share of the heaviest."""

    total: Floats
    names: Mapping[str, Mapping[str, Floats]]


class Key(NamedTuple):
    """A key's shares before and now; label: the name to show for it."""

    before: Floats
    now: Floats
    label: str


def side(total: top_k.Share, names: top_k.Contributors, unit: float) -> Side:
    """All shares divided by the unit."""
    return Side(
        tuple([amount / unit for amount in total]),
        {
            kind: {name: tuple([amount / unit for amount in share]) for name, share in found.items()}
            for kind, found in names.items()
        },
    )


def keyed(kind: str, before: Side, now: Side) -> dict[str, Key]:
    """The keys of a kind, and the rest.

    All versions of a prompt are one key: a new version is to be compared with the old one.
    """
    # By what names were kept: money, or tokens where nothing costs anything.
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


def added(shares: Iterable[Floats]) -> Floats:
    """The sum, in whatever order."""
    return tuple(map(math.fsum, zip(*shares, strict=True))) or NONE


def _group(kind: str, name: str) -> str:
    return name.rpartition("@")[0] or name if kind == "prompt" else name


def _grouped(kind: str, one: Side) -> dict[str, Floats]:
    found: dict[str, list[Floats]] = {}
    for name, share in one.names.get(kind, {}).items():
        found.setdefault(_group(kind, name), []).append(share)
    return {key: added(shares) for key, shares in found.items()}


def _hides(one: Side, found: Mapping[str, Floats], place: int) -> float:
    """How much one key weighs at most that is not among those found."""
    rest = _less(one.total, list(found.values()))[place]
    return min([rest, *(share[place] for share in found.values())])


def _less(total: Floats, parts: list[Floats]) -> Floats:
    return tuple([max(0.0, all_ - part) for all_, part in zip(total, added([NONE, *parts]), strict=True)])


def _label(kind: str, key: str, sides: tuple[Side, Side], place: int) -> str:
    """Of a key's names the one that grew most; where none grew, the heaviest."""
    old, new = (one.names.get(kind, {}) for one in sides)
    mine = sorted(name for name in {*old, *new} if _group(kind, name) == key)
    weight = {name: new.get(name, NONE)[place] for name in mine}
    grown = {name: weight[name] - old.get(name, NONE)[place] for name in mine}
    best = max(mine, key=grown.__getitem__)
    return best if grown[best] > 0 else max(mine, key=weight.__getitem__)
