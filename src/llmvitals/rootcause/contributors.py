"""Who carried a series lately, and what was usual before: evidence for the text of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.record.alert import Heavy
from llmvitals.rootcause import history as past
from llmvitals.sketch import top_k
from llmvitals.window import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llmvitals.record.vitals import Vitals
    from llmvitals.rootcause.change import Span

    Panes = Sequence[tuple[int, Vitals]]

RECENT: Final = 30 * MINUTE
OLDEST: Final = 3 * HOUR
"""How old a time may be to be compared with now."""
KINDS: Final = ("user", "session", "key", "prompt", "model")
TOLD: Final = 3
"""Names of a kind that an alert tells."""
IDS: Final = 5
ENOUGH: Final = 30
"""Calls from which on the shortest time says something."""


def fixed(labels: Iterable[str]) -> frozenset[str]:
    """The kinds that a series of these dimensions has one name of."""
    return frozenset("prompt" if name == "prompt_version" else name for name in labels) & {*KINDS}


@dataclass(frozen=True, slots=True)
class Suspects:
    """At each of past.SCALES a time that is being filled, and a full one.

    What is full is added to the next scale when another is full. So lately is the last 2 to 24 minutes, and
    what is compared with them are up to 2 hours.

    State (plain data): "now", the past.Part that is being filled, and "past", the others packed. apart: kinds
    that the series fixes, whose one name would tell nothing.
    """

    pane: int
    apart: Collection[str] = ()

    def add(self, state: dict[str, Any], pane: int, vitals: Vitals) -> None:
        """A pane has closed; panes come in order."""
        start = pane * self.pane
        if "past" not in state:
            state.clear()
            state |= {"now": past.begun(start), "past": past.pack()}
        slot = start - start % past.SCALES[0]
        if slot > state["now"][0]:
            parts = self._parts(state)
            past.push(parts, 0, past.begun(slot))
            state |= {"now": parts[0], "past": past.pack(parts[1:])}
        past.add(state["now"], self._held(start, vitals))

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
        late = [part for part in self._parts(state)[: 2 * past.LATELY] if part and part[0] >= at - RECENT]
        names = top_k.merge_contributors(part[2] for part in late)
        rows = [
            (rank, Heavy(kind, name, *share[:3]))
            for kind in KINDS
            for rank, (name, share) in enumerate(top_k.heaviest(names.get(kind, {}), TOLD))
        ]
        rows.sort(key=lambda row: (row[0], -row[1].cost_nano))
        worst = past.worst(part[3] for part in late)
        kinds = sorted(worst, key=lambda kind: (kind != first, kind))
        ids = dict.fromkeys(name for kind in kinds for _, name in worst[kind])
        return [row for _, row in rows], list(ids)[:IDS]

    def spans(self, state: dict[str, Any], at: int) -> tuple[Span, Span] | None:
        """What was before and what is now (up to `at`, µs); None where there is nothing to compare with.

        Now is the last 2 to 4 minutes or, where they hold few calls, the last 12 to 24.
        """
        parts = [part if part and part[0] >= at - OLDEST else None for part in self._parts(state)]
        for scale in range(1, past.LATELY + 1):
            now, before = (list(filter(None, some)) for some in (parts[: 2 * scale], parts[2 * scale :]))
            if not (now and before):
                break
            start = now[-1][0]
            found = past.span(at - start, now)
            if found.total[0] >= ENOUGH or scale == past.LATELY:
                return past.span(start - before[-1][0], before), found
        return None

    def _parts(self, state: dict[str, Any]) -> past.Parts:
        return [state["now"], *past.unpack(state["past"])] if "past" in state else []

    def _held(self, start: int, vitals: Vitals) -> past.Part:
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
