"""Who carried a series lately: its heaviest contributors and worst calls, for the text of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.record.alert import Heavy
from llmvitals.sketch import heavy
from llmvitals.window import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmvitals.record.vitals import Vitals

SPAN: Final = 10 * MINUTE
KEPT: Final = 5
"""Names kept of a kind; an alert tells TOLD of them."""
TOLD: Final = 3
IDS: Final = 5


@dataclass(frozen=True, slots=True)
class Suspects:
    """Two generations of SPAN, so that what is told covers the last 10 to 20 minutes of panes with calls.

    State (plain data): "from" (a pane), "now" and "before", each [contributors, exemplars].
    """

    pane: int

    def add(self, state: dict[str, Any], pane: int, vitals: Vitals) -> None:
        """A pane has closed; panes come in order."""
        age = (pane - state.setdefault("from", pane)) * self.pane
        if age >= SPAN:
            state["before"] = state.get("now", [{}, {}]) if age < 2 * SPAN else [{}, {}]
            state["now"], state["from"] = [{}, {}], pane
        names, worst = state.get("now", [{}, {}])
        state["now"] = [
            heavy.cut(heavy.merge_contributors([names, vitals.contributors]), KEPT),
            _worst([worst, vitals.exemplars]),
        ]

    def told(
        self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]], apart: Iterable[str], first: str
    ) -> tuple[list[Heavy], list[str]]:
        """The heaviest by money, first the first of each kind; and the worst calls' ids.

        apart: dimensions that the series fixes, whose kinds would say nothing. first: the kind of exemplar
        ("latency" or "cost") that comes first.
        """
        parts = [state.get("now", [{}, {}]), state.get("before", [{}, {}])]
        names = heavy.merge_contributors([part[0] for part in parts] + [v.contributors for _, v in opened])
        worst = _worst([part[1] for part in parts] + [v.exemplars for _, v in opened])
        dull = set(apart) | ({"prompt"} if "prompt_version" in apart else set())
        rows = [
            (rank, Heavy(kind, name, *share[:3]))
            for kind in heavy.KINDS
            if kind not in dull
            for rank, (name, share) in enumerate(heavy.heaviest(names.get(kind, {}), TOLD))
        ]
        rows.sort(key=lambda row: (row[0], -row[1].cost_nano))
        kinds = sorted(worst, key=lambda kind: (kind != first, kind))
        ids = dict.fromkeys(name for kind in kinds for _, name in worst[kind])
        return [row for _, row in rows], list(ids)[:IDS]


def _worst(parts: Sequence[heavy.Exemplars]) -> heavy.Exemplars:
    """The union, with tuples again where a checkpoint made lists of them."""
    return heavy.merge_exemplars(
        {kind: tuple((value, name) for value, name in found) for kind, found in part.items()}
        for part in parts
    )
