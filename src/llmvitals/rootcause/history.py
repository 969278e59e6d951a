"""What a series held in the last hours, in ever coarser times, small enough to be kept of each of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.rootcause.change import Span
from llmvitals.sketch import top_k
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCALES: Final = (2 * MINUTE, 10 * MINUTE, HOUR)
"""Each divides the next."""
LATELY: Final = 2
"""The first so many scales are lately. Of the others neither sessions nor exemplars are kept."""
KEPT: Final = 5
"""Names kept of a kind."""
FRESH: Final = 3
"""Names kept beside them while a time is filled: the heaviest of what was added last. Or a newcomer would be
cut again and again, behind what others have added up for long."""

Part = list[Any]
"""What some time held: its start (µs), the share of everything, contributors, exemplars."""
Parts = list[Part | None]
"""Of each scale the time that is being filled and a full one, the newest first."""


def begun(start: int) -> Part:
    """A time that holds nothing yet."""
    return [start, top_k.NO_SHARE, {}, {}]


def pack(parts: Sequence[Part | None] = (None,) * (2 * len(SCALES) - 1)) -> bytes:
    """Msgpack."""
    return msgspec.msgpack.encode(parts)


def unpack(data: bytes) -> Parts:
    """Back from `pack`."""
    parts: Parts = msgspec.msgpack.decode(data)
    return parts


def push(parts: Parts, scale: int, part: Part) -> None:
    """Add to the time that is being filled, or begin another one when that is over."""
    filled, length = parts[2 * scale], SCALES[scale]
    if filled and filled[0] // length != part[0] // length:
        full = parts[2 * scale + 1]
        if full and scale + 1 < len(SCALES):
            push(parts, scale + 1, full)
        filled[2] = top_k.cut(filled[2], KEPT)
        parts[2 * scale + 1], filled = filled, None
    if scale == LATELY:
        part = [*part[:2], {kind: names for kind, names in part[2].items() if kind != "session"}, {}]
    if filled:
        add(filled, part)
    parts[2 * scale] = filled or part


def add(into: Part, part: Part) -> None:
    """Add what another time held."""
    into[1] = top_k.add(into[1], part[1])
    for kind, shares in part[2].items():
        names = into[2].setdefault(kind, {})
        for name, share in shares.items():
            names[name] = top_k.add(names.get(name, top_k.NO_SHARE), share)
        if len(names) > KEPT + FRESH:
            kept = top_k.heaviest(names, KEPT) + top_k.heaviest(shares, FRESH)
            into[2][kind] = {name: names[name] for name, _ in kept}
    into[3] = worst([into[3], part[3]])


def span(length: int, parts: Sequence[Part]) -> Span:
    """Parts in one; length in µs."""
    total = top_k.NO_SHARE
    for part in parts:
        total = top_k.add(total, part[1])
    return Span(length, total, top_k.merge_contributors(part[2] for part in parts))


def worst(parts: Iterable[top_k.Exemplars]) -> top_k.Exemplars:
    """The union, with tuples again where a checkpoint made lists of them."""
    return top_k.merge_exemplars(
        {kind: tuple((value, name) for value, name in found) for kind, found in part.items()}
        for part in parts
    )
