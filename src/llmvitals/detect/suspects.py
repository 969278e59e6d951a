"""Who carried a series lately, and what was usual before: evidence for the text of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.detect.cause import Span
from llmvitals.record.alert import Heavy
from llmvitals.sketch import heavy
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llmvitals.record.vitals import Vitals

    Panes = Sequence[tuple[int, Vitals]]

SCALES: Final = (2 * MINUTE, 10 * MINUTE, HOUR)
"""Each divides the next. The first two are lately."""
LATELY: Final = 2
RECENT: Final = 30 * MINUTE
OLDEST: Final = 3 * HOUR
KINDS: Final = ("user", "session", "key", "prompt", "model")
FLEETING: Final = "session"
"""A kind whose names of an hour ago tell nothing about now."""
KEPT: Final = 5
"""Names kept of a kind; an alert tells TOLD of them."""
FRESH: Final = 3
"""Names kept beside them while a time is filled: the heaviest of what was added last. Or a newcomer would be
cut again and again, behind what others have added up for long."""
TOLD: Final = 3
IDS: Final = 5
ENOUGH: Final = 30
"""Calls from which on the shortest time says something."""

Part = list[Any]
"""What some time held: its start (µs), the share of everything, contributors, exemplars."""


def fixed(labels: Iterable[str]) -> frozenset[str]:
    """The kinds that a series of these dimensions has one name of."""
    return frozenset("prompt" if name == "prompt_version" else name for name in labels) & {*KINDS}


@dataclass(frozen=True, slots=True)
class Suspects:
    """At each of the SCALES a time that is being filled, and a full one.

    What is full is added to the next scale when another is full. So lately is the last 2 to 24 minutes, and
    what is compared with them are up to 2 hours.

    State (plain data): "now", the Part that is being filled, and "past", the others packed, the newest first,
    None for none. apart: kinds that the series fixes, whose one name would tell nothing.
    """

    pane: int
    apart: Collection[str] = ()

    def add(self, state: dict[str, Any], pane: int, vitals: Vitals) -> None:
        """A pane has closed; panes come in order."""
        start = pane * self.pane
        if "past" not in state:
            state.clear()
            state |= {"now": _part(start), "past": _pack([None] * (2 * len(SCALES) - 1))}
        slot = start - start % SCALES[0]
        if slot > state["now"][0]:
            parts = self._parts(state)
            _push(parts, 0, _part(slot))
            state |= {"now": parts[0], "past": _pack(parts[1:])}
        _add(state["now"], self._held(start, vitals))

    def ahead(self, state: dict[str, Any], opened: Panes, at: int) -> dict[str, Any]:
        """The state as it will be when the open panes that begin before `at` (µs) have closed as they are."""
        if not opened:
            return state
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
        for pane, vitals in opened:
            if pane * self.pane < at:
                self.add(state, pane, vitals)
        return state

    def told(self, state: dict[str, Any], first: str, at: int) -> tuple[list[Heavy], list[str]]:
        """The heaviest by money, first the first of each kind; and the worst calls' ids; up to `at`, µs.

        first: the kind of exemplar ("latency" or "cost") that comes first.
        """
        late = [part for part in self._parts(state)[: 2 * LATELY] if part and part[0] >= at - RECENT]
        names = heavy.merge_contributors(part[2] for part in late)
        rows = [
            (rank, Heavy(kind, name, *share[:3]))
            for kind in KINDS
            for rank, (name, share) in enumerate(heavy.heaviest(names.get(kind, {}), TOLD))
        ]
        rows.sort(key=lambda row: (row[0], -row[1].cost_nano))
        worst = _worst(part[3] for part in late)
        kinds = sorted(worst, key=lambda kind: (kind != first, kind))
        ids = dict.fromkeys(name for kind in kinds for _, name in worst[kind])
        return [row for _, row in rows], list(ids)[:IDS]

    def spans(self, state: dict[str, Any], at: int) -> tuple[Span, Span] | None:
        """What was before and what is now (up to `at`, µs); None where there is nothing to compare with.

        Now is the last 2 to 4 minutes or, where they hold few calls, the last 12 to 24.
        """
        parts = [part if part and part[0] >= at - OLDEST else None for part in self._parts(state)]
        for scale in range(1, LATELY + 1):
            now, before = (list(filter(None, some)) for some in (parts[: 2 * scale], parts[2 * scale :]))
            if not (now and before):
                break
            start = now[-1][0]
            span = _span(at - start, now)
            if span.total[0] >= ENOUGH or scale == LATELY:
                return _span(start - before[-1][0], before), span
        return None

    def _parts(self, state: dict[str, Any]) -> list[Part | None]:
        return [state["now"], *msgspec.msgpack.decode(state["past"])] if "past" in state else []

    def _held(self, start: int, vitals: Vitals) -> Part:
        total = vitals.total
        tokens = total("input_tokens") + total("output_tokens")
        money = total("cost_nano"), tokens, total("gross_cost_nano")
        share = (total("calls"), *money, total("latency_us"), total("output_tokens"))
        names = {
            kind: found
            for kind in KINDS
            if kind not in self.apart and (found := vitals.contributors.get(kind))
        }
        return [start, share, names, vitals.exemplars]


def _part(start: int) -> Part:
    return [start, heavy.NO_SHARE, {}, {}]


def _push(parts: list[Part | None], scale: int, part: Part) -> None:
    """Add to the time that is being filled, or begin another one when that is over."""
    filled, length = parts[2 * scale], SCALES[scale]
    if filled and filled[0] // length != part[0] // length:
        full = parts[2 * scale + 1]
        if full and scale + 1 < len(SCALES):
            _push(parts, scale + 1, full)
        filled[2] = heavy.cut(filled[2], KEPT)
        parts[2 * scale + 1], filled = filled, None
    if scale == LATELY:
        part = [*part[:2], {kind: names for kind, names in part[2].items() if kind != FLEETING}, {}]
    if filled:
        _add(filled, part)
    parts[2 * scale] = filled or part


def _add(into: Part, part: Part) -> None:
    into[1] = heavy.add(into[1], part[1])
    for kind, shares in part[2].items():
        names = into[2].setdefault(kind, {})
        for name, share in shares.items():
            names[name] = heavy.add(names.get(name, heavy.NO_SHARE), share)
        if len(names) > KEPT + FRESH:
            kept = heavy.heaviest(names, KEPT) + heavy.heaviest(shares, FRESH)
            into[2][kind] = {name: names[name] for name, _ in kept}
    into[3] = _worst([into[3], part[3]])


def _span(length: int, parts: Sequence[Part]) -> Span:
    total = heavy.NO_SHARE
    for part in parts:
        total = heavy.add(total, part[1])
    return Span(length, total, heavy.merge_contributors(part[2] for part in parts))


def _pack(parts: Sequence[Part | None]) -> bytes:
    return msgspec.msgpack.encode(parts)


def _worst(parts: Iterable[heavy.Exemplars]) -> heavy.Exemplars:
    """The union, with tuples again where a checkpoint made lists of them."""
    return heavy.merge_exemplars(
        {kind: tuple((value, name) for value, name in found) for kind, found in part.items()}
        for part in parts
    )
