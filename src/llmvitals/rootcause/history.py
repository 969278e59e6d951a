"""The recent hours of a series in ever coarser periods, small enough to be kept for many series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.rootcause.change import Period
from llmvitals.sketch import top_k
from llmvitals.window import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCALES: Final = (2 * MINUTE, 10 * MINUTE, HOUR, DAY)
"""The lengths of the periods, µs; each divides the next."""
RECENT_SCALES: Final = 2
"""This many scales count as recent. The coarser ones keep no sessions, errors and exemplars."""
KEPT: Final = 5
"""Names kept for each kind."""
FRESH: Final = 3
"""Names kept beside them while a period is filled: the heaviest of what was added last. Without them a
newcomer would be cut again and again, because others have added up for longer."""
_BRIEF: Final = frozenset({"session", "error"})

Part = list[Any]
"""A period: its start (µs), the share of all calls, contributors, exemplars."""
Parts = list[Part | None]
"""For each scale the period that is being filled and a full one, the newest first."""


def empty_part(start: int) -> Part:
    """A period without calls."""
    return [start, top_k.NO_SHARE, {}, {}]


def pack(parts: Sequence[Part | None] = (None,) * (2 * len(SCALES) - 1)) -> bytes:
    """Encode as msgpack."""
    return msgspec.msgpack.encode(parts)


def unpack(data: bytes) -> Parts:
    """Decode what `pack` encoded, an older version with fewer scales too."""
    parts: Parts = msgspec.msgpack.decode(data)
    return [*parts, *[None] * (2 * len(SCALES) - 1 - len(parts))]


def push(parts: Parts, scale: int, part: Part) -> None:
    """Add to the period that is being filled, or begin another one when that is over."""
    filled, length = parts[2 * scale], SCALES[scale]
    if filled and filled[0] // length != part[0] // length:
        full = parts[2 * scale + 1]
        if full and scale + 1 < len(SCALES):
            push(parts, scale + 1, full)
        filled[2] = top_k.cut(filled[2], KEPT)
        parts[2 * scale + 1], filled = filled, None
    if scale == RECENT_SCALES:
        part = [*part[:2], {kind: names for kind, names in part[2].items() if kind not in _BRIEF}, {}]
    if filled:
        add(filled, part)
    parts[2 * scale] = filled or part


def add(into: Part, part: Part) -> None:
    """Add another period."""
    into[1] = top_k.add(into[1], part[1])
    for kind, shares in part[2].items():
        names = into[2].setdefault(kind, {})
        for name, share in shares.items():
            names[name] = top_k.add(names[name], share) if name in names else share
        if len(names) > KEPT + FRESH:
            kept = top_k.heaviest(names, KEPT) + top_k.heaviest(shares, FRESH)
            into[2][kind] = {name: names[name] for name, _ in kept}
    for kind, worst in part[3].items():
        held = into[3].get(kind, ())
        # Most calls are not among the worst.
        if len(held) < top_k.EXEMPLARS or any(value >= held[-1][0] for value, _ in worst):
            into[3] |= exemplars([{kind: held}, {kind: worst}])


def period(end: int, parts: Sequence[Part]) -> Period:
    """Join parts, the newest first; end: event time, µs."""
    total = top_k.NO_SHARE
    for part in parts:
        total = top_k.add(total, part[1])
    return Period(end - parts[-1][0], total, top_k.merge_contributors(part[2] for part in parts), end)


def exemplars(parts: Iterable[top_k.Exemplars]) -> top_k.Exemplars:
    """The union of exemplars. A checkpoint turns tuples into lists; they become tuples again."""
    return top_k.merge_exemplars(
        {kind: tuple([(value, name) for value, name in found]) for kind, found in part.items()}
        for part in parts
    )
