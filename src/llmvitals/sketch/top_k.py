"""Heavy hitters and worst calls.

`Contributors` are exact sums by name. Law: merging adds name by name, so it is exact, associative and
commutative with the empty one as identity. What keeps them small is `heaviest`, a reading that is taken at
fixed points of the flow (a frame, a closed window) and never inside a merge; so a name below the cut in one
pane can miss that pane's share in a longer window (as in a Misra-Gries summary, Agarwal et al., "Mergeable
summaries", PODS 2012), while what is kept is never too much.

`worst` keeps the greatest of a set: a union cut to the top n is associative, commutative and idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS: Final = ("user", "session", "key", "prompt", "model", "tool")
"""A tool goes by its name and the hash of its arguments; its calls are how often it was asked for, and the
rest of its share is 0."""
WORST: Final = ("cost", "latency")
"""Kinds of exemplars: value in nano-dollars, and in µs."""
EXEMPLARS: Final = 3

Share = tuple[int, int, int, int, int, int]
"""calls, cost in nano-dollars, tokens, what it had cost without any cache, latency in µs, output tokens"""
NO_SHARE: Final[Share] = (0, 0, 0, 0, 0, 0)
Contributors = dict[str, dict[str, Share]]
"""kind → name → share"""
Exemplars = dict[str, tuple[tuple[int, str], ...]]
"""kind → (value, trace id), the greatest first"""


def merge_contributors(parts: Iterable[Contributors]) -> Contributors:
    """The sum, name by name."""
    merged: Contributors = {}
    for part in parts:
        for kind, shares in part.items():
            into = merged.setdefault(kind, {})
            for name, share in shares.items():
                had = into.get(name)
                into[name] = add(had, share) if had else share
    return merged


def add(one: Share, other: Share) -> Share:
    """The sum of two."""
    calls, cost, tokens, gross, latency, output = one
    return (
        calls + other[0],
        cost + other[1],
        tokens + other[2],
        gross + other[3],
        latency + other[4],
        output + other[5],
    )


def whole(contributors: dict[str, dict[str, tuple[int, ...]]]) -> Contributors:
    """Shares as they are; those of an older version, which end with the tokens, as if no cache had been."""
    firsts = [next(iter(shares.values())) for shares in contributors.values() if shares]
    if any(len(share) < len(NO_SHARE) for share in firsts):
        return {
            kind: {name: (calls, cost, tokens, cost, 0, 0) for name, (calls, cost, tokens) in shares.items()}
            for kind, shares in contributors.items()
        }
    return cast("Contributors", contributors)


def heaviest(shares: dict[str, Share], most: int) -> list[tuple[str, Share]]:
    """The `most` heaviest by money, then tokens, then calls, then name."""
    return sorted(shares.items(), key=lambda item: (-item[1][1], -item[1][2], -item[1][0], item[0]))[:most]


def cut(contributors: Contributors, most: int) -> Contributors:
    """Only the `most` heaviest of each kind."""
    return {kind: dict(heaviest(shares, most)) for kind, shares in contributors.items() if shares}


def merge_exemplars(parts: Iterable[Exemplars]) -> Exemplars:
    """The EXEMPLARS greatest of each kind over all parts; of equal values the lesser id."""
    union: dict[str, set[tuple[int, str]]] = {}
    for part in parts:
        for kind, found in part.items():
            union.setdefault(kind, set()).update(found)
    return {
        kind: tuple(sorted(found, key=lambda item: (-item[0], item[1]))[:EXEMPLARS])
        for kind, found in union.items()
    }
