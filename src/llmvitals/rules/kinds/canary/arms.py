"""Selects the values to compare: the newest and the one before it, or those that the rule names."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from llmvitals.record.view import UNKNOWN

BEGINNING: Final = 500
"""A value is new if this many calls came before its first one; a rare value may come late by chance."""
FEW: Final = 20
SHARE: Final = 0.01
"""An arm that the rule does not name needs FEW calls in all and this share of all calls in the last hour."""
FORGOTTEN: Final = 1_440
"""After this many minutes without calls, while others have some, a value is forgotten, and would be new
again. A time as long in which there are no calls at all, such as a weekend, does not count …"""
GONE: Final = 7 * FORGOTTEN
"""… but after this many minutes a value is forgotten all the same."""
MOST: Final = 64
"""The most values that are kept; the rarest are dropped first. Those that come within a day after that may be
values that were dropped, so they are not new."""
_SLOT: Final = 10
_SLOTS: Final = 6

Known = dict[str, list[Any]]
"""Value → its first minute, its newest, whether it is new (0, 1), [slot, calls] of its last hour, and its
calls in all, up to FEW; values in states of older versions have no such number, which counts as FEW."""


class Pair(NamedTuple):
    """The values that are compared."""

    canary: str
    control: str


def note(known: Known, minute: int, calls: dict[str, int], *, before: int, newest: int, back: int) -> None:
    """Add the values of a minute's calls, and drop values without recent calls.

    before: all calls so far. newest: the last minute with calls. back: the first one after the last time of
    FORGOTTEN without any.
    """
    slot = minute // _SLOT
    for name in sorted(calls):
        if name == UNKNOWN:
            continue
        arm = known.setdefault(name, [minute, minute, int(before >= BEGINNING), [], 0])
        arm[1] = minute
        arm[4:] = [min(_in_all(arm) + calls[name], FEW)]
        if not arm[3] or arm[3][-1][0] != slot:
            arm[3].append([slot, 0])
        arm[3][-1][1] += calls[name]
    for name, arm in list(known.items()):
        arm[3] = [entry for entry in arm[3] if entry[0] > slot - _SLOTS]
        silent = newest - max(arm[1], back) >= FORGOTTEN or newest - arm[1] >= GONE
        if silent or minute - newest >= GONE:
            del known[name]


def limit_known(known: Known, keep: tuple[str, ...]) -> bool:
    """Drop the rarest values above MOST, except those that are compared; returns whether there are any."""
    full = len(known) > MOST
    if full:
        rare = sorted(known, key=lambda name: (name in keep, _recent(known[name]), known[name][1], name))
        for name in rare[: len(known) - MOST]:
            del known[name]
    return full


def pair(known: Known, canary: str | None, control: str | None) -> Pair | None:
    """The two values that are compared; canary, control: those that the rule names.

    The canary is the newest of the new values with enough calls. Its control is the one with most calls among
    the older ones.
    """
    recent = {name: _recent(arm) for name, arm in known.items()}
    least = max(1.0, SHARE * sum(recent.values()))
    part = {name for name, arm in known.items() if recent[name] >= least and _in_all(arm) >= FEW} - {control}
    if canary is None:
        fresh = [name for name in part if known[name][2]]
        canary = max(fresh, key=lambda name: (known[name][0], name), default=None)
    if canary is None or canary not in known:
        return None
    if control is None:
        others = [name for name in part if name != canary]
        if known[canary][2]:
            others = [name for name in others if known[name][0] < known[canary][0]]
        control = max(others, key=lambda name: (recent[name], name), default=None)
    return Pair(canary, control) if control in known and control is not None else None


def ending(known: Known, now: Pair, found: Pair | None) -> str:
    """The reason why a comparison is over, "" if it is not; found: the result of `pair`."""
    if now.control not in known and now.canary not in known:
        return f"neither {now.control} nor {now.canary} gets calls any more"
    if now.control not in known:
        return f"{now.control} gets no more calls: {now.canary} has replaced it"
    if now.canary not in known:
        return f"{now.canary} gets no more calls"
    if found and found.canary != now.canary and known[found.canary][0] > known[now.canary][0]:
        return f"{found.canary} is newer and replaces it in the comparison"
    return ""


def _in_all(arm: list[Any]) -> int:
    """The calls of a value, up to FEW."""
    calls: int = arm[4] if len(arm) > 4 else FEW
    return calls


def _recent(arm: list[Any]) -> int:
    return sum(calls for _, calls in arm[3])
