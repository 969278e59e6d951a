"""Heavy hitters and worst calls.

`Contributors` are exact sums by name. Law: merging adds name by name, so it is exact, associative and
commutative with the empty one as identity. What keeps them small is `heaviest`, a reading that is taken at
fixed points of the flow (a frame, a closed window) and never inside a merge; so a name below the cut in one
pane can miss that pane's share in a longer window (as in a Misra-Gries summary, Agarwal et al., "Mergeable
summaries", PODS 2012), while what is kept is never too much.

`worst` keeps the greatest of a set: a union cut to the top n is associative, commutative and idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS: Final = ("user", "session", "key", "prompt", "model")
WORST: Final = ("cost", "latency")
"""Kinds of exemplars: value in nano-dollars, and in µs."""
EXEMPLARS: Final = 3

Share = tuple[int, int, int]
"""calls, cost in nano-dollars, tokens"""
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
            for name, (calls, cost, tokens) in shares.items():
                had = into.get(name)
                into[name] = (
                    (had[0] + calls, had[1] + cost, had[2] + tokens) if had else (calls, cost, tokens)
                )
    return merged


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
