"""Top contributors and worst calls.

`Contributors` are exact sums by name. Law: merging adds name by name, so it is exact, associative and
commutative with the empty mapping as identity. `heaviest` keeps them small. It is applied at fixed points (a
frame, a closed window) and never inside a merge, so a name that was cut in one pane lacks that pane's share
in a longer window (as in a Misra-Gries summary, Agarwal et al., "Mergeable summaries", PODS 2012); a share is
never too large.

`Exemplars` are the greatest values: a union cut to the top n is associative, commutative and idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SPENDERS: Final = ("user", "session", "key", "prompt", "model")
KINDS: Final = (*SPENDERS, "error", "tool")
"""Only failed calls have an error: its name is their error type and app. The name of a tool includes the hash
of its arguments; its calls are the requests of it. Of both the rest of the share is 0."""
WORST: Final = ("cost", "latency")
"""Kinds of exemplars: value in nano-dollars, and in µs."""
EXEMPLARS: Final = 3

Share = tuple[int, int, int, int, int, int]
"""calls, cost in nano-dollars, tokens, cost without any cache, latency in µs, output tokens"""
NO_SHARE: Final[Share] = (0, 0, 0, 0, 0, 0)
READ_TOOLS: Final = 40
"""The tools of a pane that are kept in any case, because rules on loops read them."""
Contributors = dict[str, dict[str, Share]]
"""kind → name → share"""
Exemplars = dict[str, tuple[tuple[int, str], ...]]
"""kind → (value, trace id), the greatest first"""


def merge_contributors(parts: Iterable[Contributors]) -> Contributors:
    """Add contributors name by name."""
    merged: Contributors = {}
    for part in parts:
        for kind, shares in part.items():
            into = merged.setdefault(kind, {})
            for name, share in shares.items():
                previous = into.get(name)
                into[name] = add(previous, share) if previous else share
    return merged


def add(share: Share, other: Share) -> Share:
    """Add two shares."""
    calls, cost, tokens, gross, latency, output = share
    return (
        calls + other[0],
        cost + other[1],
        tokens + other[2],
        gross + other[3],
        latency + other[4],
        output + other[5],
    )


def whole(contributors: dict[str, dict[str, tuple[int, ...]]]) -> Contributors:
    """Complete the shares of an older version, which end with the tokens, as if there had been no cache."""
    firsts = [next(iter(shares.values())) for shares in contributors.values() if shares]
    if any(len(share) < len(NO_SHARE) for share in firsts):
        return {
            kind: {name: (calls, cost, tokens, cost, 0, 0) for name, (calls, cost, tokens) in shares.items()}
            for kind, shares in contributors.items()
        }
    return cast("Contributors", contributors)


def heaviest(shares: dict[str, Share], most: int) -> list[tuple[str, Share]]:
    """The `most` heaviest by cost, then tokens, calls and name."""
    if len(shares) == 1:  # as in most panes
        return list(shares.items())[:most]
    return sorted(shares.items(), key=lambda item: (-item[1][1], -item[1][2], -item[1][0], item[0]))[:most]


def cut(contributors: Contributors, most: int) -> Contributors:
    """Keep the `most` heaviest of each kind."""
    return {kind: dict(heaviest(shares, most)) for kind, shares in contributors.items() if shares}


def merge_exemplars(parts: Iterable[Exemplars]) -> Exemplars:
    """Keep the EXEMPLARS greatest of each kind over all parts; of equal values the lesser trace id."""
    union: dict[str, set[tuple[int, str]]] = {}
    for part in parts:
        for kind, exemplars in part.items():
            union.setdefault(kind, set()).update(exemplars)
    return {kind: greatest(exemplars) for kind, exemplars in union.items()}


def greatest(exemplars: Collection[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The EXEMPLARS greatest of one kind, which differ from each other."""
    return tuple(sorted(exemplars, key=_rank)[:EXEMPLARS] if len(exemplars) > 1 else exemplars)


def _rank(exemplar: tuple[int, str]) -> tuple[int, str]:
    return -exemplar[0], exemplar[1]
