"""The recent hours of a series in ever coarser periods, and the two that a root cause compares.

The periods are small enough to be kept for many series. A root cause compares now with the time before the
alert.
"""

from __future__ import annotations

import math
from itertools import pairwise
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

OLDEST: Final = 3 * HOUR
"""The greatest age of a period that is compared with the last minutes, µs."""
OUTDATED: Final = 12 * HOUR
"""Once what is kept of the time before an alert is as old as this, its next level has a time before of its
own: the levels of a monthly budget are days apart, those of one incident are not."""
ENOUGH: Final = 30
"""The calls that the shortest period needs."""

_Split = tuple[int, Period, Period]
"""The scale of now, the period before, and now."""


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
        names = into[2].get(kind)
        if names is None:
            names = into[2][kind] = dict(shares)
        else:
            for name, share in shares.items():
                names[name] = top_k.add(names[name], share) if name in names else share
        if len(names) > KEPT + FRESH:
            kept = top_k.heaviest(names, KEPT) + top_k.heaviest(shares, FRESH)
            into[2][kind] = {name: names[name] for name, _ in kept}
    for kind, worst in part[3].items():
        held = into[3].get(kind)
        if held is None:
            into[3][kind] = worst
        # Most calls are not among the worst.
        elif len(held) < top_k.EXEMPLARS or any(value >= held[-1][0] for value, _ in worst):
            # A checkpoint turns tuples into lists.
            into[3][kind] = top_k.greatest({(value, name) for value, name in (*held, *worst)})


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


def compared(
    parts: Sequence[Part | None], at: int, alert: dict[str, Any], *, slow: bool = False
) -> tuple[Period, Period] | None:
    """The period before an alert, and now (up to `at`, µs); None if there is nothing to compare.

    Now is the last 2 to 4 minutes, or the last 12 to 24 if they hold few calls. slow: the cause may be hours
    old, as of a forecast: now may also be the last 1 to 2 hours, and before it up to 2 days; of these times
    the one after which the rate has risen most surely.

    alert: the state of an alert (see AlertState). The period before is kept there as "before", [level, scale,
    *Period], so that it stays before the incident however long that lasts.
    """
    kept = alert.get("before")
    if kept is None or (kept[0] != alert["level"] and kept[-1] < at - OUTDATED):
        until = alert["since"] if kept is None else at
        splits = _splits(parts, at, until, slow=slow)
        kept = alert["before"] = [alert["level"], *_kept(splits, until, slow=slow)]
        alert.pop("cause", None)
    kept[0] = alert["level"]
    scale, before = kept[1], Period(*kept[2:])
    now = _now(parts, at, scale, before.end) if before.length else None
    return (before, now) if now else None


def _splits(parts: Sequence[Part | None], at: int, until: int, *, slow: bool) -> list[_Split]:
    """Each time at which `parts` can be split, up to which the period before is known, the latest first."""
    scales, oldest = (len(SCALES), at - 3 * DAY) if slow else (RECENT_SCALES + 1, at - OLDEST)
    recent = [part if part and part[0] >= oldest else None for part in parts[: 2 * scales]]
    filled = list(filter(None, recent))
    over = {id(older): newer[0] for newer, older in pairwise(filled) if newer[0] <= until}
    splits = []
    for scale in range(1, scales):
        now = list(filter(None, recent[: 2 * scale]))
        before = [part for part in recent[2 * scale :] if part and id(part) in over]
        if not (now and before):
            break
        splits.append((scale, period(over[id(before[0])], before), period(at, now)))
    return splits


def _kept(splits: Sequence[_Split], until: int, *, slow: bool) -> list[Any]:
    """What is kept of the best split: its scale, and the period before."""
    if not splits:
        return [1, *Period(0, top_k.NO_SHARE, {}, until)]
    enough = [split for split in splits if split[2].total[0] >= ENOUGH] or splits[-1:]
    scale, before, _ = max(enough, key=_rise) if slow else enough[0]
    names = {kind: shares for kind, shares in before.names.items() if kind != "session"}
    return [scale, *before._replace(names=top_k.cut(names, KEPT))]


def _rise(split: _Split) -> float:
    """The relative rise of money (or of tokens where nothing costs anything) by how much a rate scatters."""
    _, before, now = split
    place = 1 if before.total[1] and now.total[1] else 2
    times = now.total[place] * before.length / (max(before.total[place], 1) * max(now.length, 1))
    return (times - 1) * math.sqrt(now.total[0])


def _now(parts: Sequence[Part | None], at: int, scale: int, begin: int) -> Period | None:
    """The period up to `at` of this scale, or of the next if it holds few calls, which begins at `begin`."""
    now = None
    for length in range(scale, max(scale, RECENT_SCALES) + 1):
        found = [part for part in parts[: 2 * length] if part and part[0] >= max(begin, at - OLDEST)]
        now = period(at, found) if found else None
        if now and now.total[0] >= ENOUGH:
            break
    return now
