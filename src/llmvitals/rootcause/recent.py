"""The recent contributors of a series, and those before: evidence for the text of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmvitals.record.alert import Heavy
from llmvitals.rootcause import periods as past
from llmvitals.rootcause.keys import REST, TOKENLESS
from llmvitals.rootcause.periods import compared
from llmvitals.sketch import top_k
from llmvitals.sketch.counters import SUM
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from llmvitals.record.vitals import Vitals
    from llmvitals.rootcause.change import Period

    Panes = Sequence[tuple[int, Vitals]]

RECENT: Final = 30 * MINUTE
KINDS: Final = top_k.SPENDERS
"""Kinds of contributors that explain a change; where several have most, the first is named."""
ERRORS: Final = ("error",)
"""Kinds that are kept beside them, for alerts about errors."""
_KEPT: Final = frozenset((*KINDS, *ERRORS))
_READ: Final = (
    "calls", "usage_calls", "cost_nano", "gross_cost_nano", "latency_us", "input_tokens", "output_tokens"
)  # fmt: skip
_TOTALS: Final = itemgetter(*[SUM[name] for name in _READ])
NAMES: Final = 3
"""Names of each kind in an alert."""
IDS: Final = 5


def fixed_kinds(labels: Iterable[str]) -> frozenset[str]:
    """The kinds that a series with these dimensions fixes to one name."""
    return frozenset("prompt" if name == "prompt_version" else name for name in labels) & {*KINDS}


@dataclass(frozen=True, slots=True)
class RecentContributors:
    """Keeps for each of past.SCALES the period that is being filled, and a full one.

    A full period is added to the next scale when another is full.

    fixed: kinds that the series fixes; they are left out. State (plain data): "now", the past.Part that is
    being filled, and "past", the others packed.
    """

    pane: int
    fixed: Collection[str] = ()

    def add(self, state: dict[str, Any], pane: int, vitals: Vitals) -> None:
        """Add a closed pane; panes come in order."""
        start = pane * self.pane
        if "past" not in state:
            state.clear()
            state |= {"now": past.empty_part(start), "past": past.pack()}
        slot = start - start % past.SCALES[0]
        if slot > state["now"][0]:
            parts = self._parts(state)
            past.push(parts, 0, past.empty_part(slot))
            state |= {"now": parts[0], "past": past.pack(parts[1:])}
        past.add(state["now"], self._part(start, vitals))

    def ahead(self, state: dict[str, Any], opened: Panes, at: int) -> dict[str, Any]:
        """The state with the open panes that begin before `at` (µs) added as they are now."""
        if not opened:
            return state
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
        for pane, vitals in opened:
            if pane * self.pane < at:
                self.add(state, pane, vitals)
        return state

    def top(
        self, state: dict[str, Any], first: str, at: int, *, errors: bool = False
    ) -> tuple[list[Heavy], list[str]]:
        """The top contributors by cost, those of first rank first, and the ids of exemplars; up to `at`, µs.

        first: the kind of exemplar ("latency" or "cost") that comes first. errors: give the errors that most
        calls failed with in place of the others.
        """
        recent = self._recent(state, at)
        names = top_k.merge_contributors(part[2] for part in recent)
        rows = [
            (rank, Heavy(kind, name, *share[:3]))
            for kind in (ERRORS if errors else KINDS)
            for rank, (name, share) in enumerate(top_k.heaviest(names.get(kind, {}), NAMES))
        ]
        rows.sort(key=lambda row: (row[0], -row[1].cost_nano))
        worst = past.exemplars(part[3] for part in recent)
        order = sorted(worst, key=lambda kind: (kind != first, kind))
        ids = dict.fromkeys(name for kind in order for _, name in worst[kind])
        return [row for _, row in rows], list(ids)[:IDS]

    def lately(self, state: dict[str, Any], at: int) -> Period | None:
        """The time that `top` is of; None without calls in it."""
        recent = self._recent(state, at)
        return past.period(at, recent) if recent else None

    def periods(
        self, state: dict[str, Any], at: int, alert: dict[str, Any], *, slow: bool = False
    ) -> tuple[Period, Period] | None:
        """The period before an alert, and now; see periods.compared."""
        return compared(self._parts(state), at, alert, slow=slow)

    def _recent(self, state: dict[str, Any], at: int) -> list[past.Part]:
        parts = self._parts(state)[: 2 * past.RECENT_SCALES]
        return [part for part in parts if part and part[0] >= at - RECENT]

    def _parts(self, state: dict[str, Any]) -> past.Parts:
        return [state["now"], *past.unpack(state["past"])] if "past" in state else []

    def _part(self, start: int, vitals: Vitals) -> past.Part:
        calls, usage_calls, cost, gross, latency, prompts, answers = _TOTALS(vitals.sums)
        share = (calls, cost, prompts + answers, gross, latency, answers)
        fixed = self.fixed
        names = {
            kind: shares
            for kind, shares in vitals.contributors.items()
            if kind in _KEPT and kind not in fixed and shares
        }
        if tokenless := calls - usage_calls:
            names[TOKENLESS] = {REST: (tokenless, 0, 0, 0, 0, 0)}
        return [start, share, names, vitals.exemplars]
