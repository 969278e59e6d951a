"""Evaluates rules that read more than columns hold, on the panes that combine adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from llmvitals.backtest.series_evaluator import SeriesEvaluator
from llmvitals.combine.pane import ON_TIME
from llmvitals.merge.homes import by_home
from llmvitals.merge.roster import Roster, RosterState
from llmvitals.record.series import series_key, series_of
from llmvitals.record.vitals import Vitals, merged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.backtest.reader import Block
    from llmvitals.combine.pane import ViewEntries
    from llmvitals.merge.plan import MergePlan, Panes
    from llmvitals.record.view import View
    from llmvitals.rules.rule import Rule

    Parts = dict[bytes, dict[int, list[Vitals]]]
    """Series → the vitals of each partition, by the quarter of an hour of late calls, else ON_TIME."""

_OFFSET: Final = 0
"""In place of the offset of a frame: the limits of series do not change in a backtest."""


class PaneEvaluator(SeriesEvaluator[bytes]):
    """plan: of merge, which has the same series. name: of the view in the entries.

    Law: the alerts do not depend on how the panes are split into blocks.
    """

    def __init__(
        self, view: View, rules: Sequence[Rule], plan: MergePlan, name: str, *, screening: bool = False
    ) -> None:
        super().__init__(view, rules, plan.pane_us, screening=screening)
        self._name = name
        self._plan = replace(plan, engine=self._engine)
        self._roster = Roster(self._plan, saved=RosterState(), parts={}, until=0)
        self._family = 1

    def name(self, key: bytes) -> tuple[str, ...]:
        """The home of a series (see View)."""
        return series_of(key)[1]

    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`; block: their entries, except those of earlier blocks."""
        waiting: list[tuple[bytes, int, Vitals]] = []
        for pane, parts in sorted(self._by_pane(block.entries).items()):
            self._roster.rejected(_OFFSET, self.view, [*parts], [pane] * len(parts))
            self._roster.end_frame(_OFFSET, pane + 1, rose=True)
            if self._family != (family := self._roster.live(self.view)):
                self._advance(by_home(self._plan, self.view, waiting), pane)
                waiting, self._family = [], family
            waiting += [(key, pane, _joined(by_quarter)) for key, by_quarter in parts.items()]
        self._advance(by_home(self._plan, self.view, waiting), low)
        self._advance({key: [] for key, state in self._states.items() if self._engine.due(state) <= low}, low)

    def _by_pane(self, entries: Sequence[ViewEntries]) -> dict[int, Parts]:
        found: dict[int, Parts] = {}
        for part in entries:
            if part.found.view != self._name:
                continue
            keys = (series_key(self.view, series) for series in part.found.series)
            places = zip(keys, part.panes.tolist(), part.quarters.tolist(), strict=True)
            for (key, pane, quarter), vitals in zip(places, part.found.rows.vitals(), strict=True):
                by_quarter = found.setdefault(pane, {}).setdefault(key, {})
                by_quarter.setdefault(quarter, []).append(vitals)
        return found

    def _advance(self, closed: Mapping[bytes, Panes], low: int) -> None:
        for key, panes in closed.items():
            self._evaluate(key, panes, low=low, family=self._family)


def _joined(by_quarter: Mapping[int, list[Vitals]]) -> Vitals:
    """The vitals of all partitions together."""
    on_time = by_quarter.get(ON_TIME, [])
    if len(by_quarter) == len(on_time) == 1:
        return on_time[0]
    sums = {quarter: merged(parts) for quarter, parts in sorted(by_quarter.items())}
    whole = sums.pop(ON_TIME, Vitals())
    return replace(whole, late=sums) if sums else whole
