"""Evaluates rules that read more than columns hold, on the panes that combine adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmvitals.backtest.series_evaluator import SeriesEvaluator
from llmvitals.combine.pane import ON_TIME
from llmvitals.merge.homes import by_home
from llmvitals.record.series import series_key, series_of
from llmvitals.record.vitals import Vitals, merged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.backtest.reader import Block, Entries
    from llmvitals.merge.plan import MergePlan, Panes
    from llmvitals.record.view import View
    from llmvitals.rules.rule import Rule

    Parts = dict[bytes, dict[int, list[Vitals]]]
    """Series → the vitals of each partition, by the quarter of an hour of late calls, else ON_TIME."""


class PaneEvaluator(SeriesEvaluator[bytes]):
    """name: of the view in the entries.

    Law: the alerts do not depend on how the panes are split into blocks.
    """

    def __init__(
        self, view: View, rules: Sequence[Rule], plan: MergePlan, name: str, *, screening: bool = False
    ) -> None:
        super().__init__(view, rules, plan, screening=screening)
        self.reads = name

    def name(self, key: bytes) -> tuple[str, ...]:
        """The home of a series (see View)."""
        return series_of(key)[1]

    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`; block: their entries, except those of earlier blocks."""
        waiting: list[tuple[bytes, int, Vitals]] = []
        for pane, parts in sorted(self._by_pane(block.entries).items()):
            if self._begins(pane):
                self._advance(by_home(self._plan, self.view, waiting), pane // self._length * self._length)
                waiting = []
                self._begin(pane)
            self._note([*parts], pane)
            waiting += [(key, pane, _joined(by_quarter)) for key, by_quarter in parts.items()]
        self._advance(by_home(self._plan, self.view, waiting), low)

    def _by_pane(self, entries: Sequence[Entries]) -> dict[int, Parts]:
        found: dict[int, Parts] = {}
        for part in entries:
            if part.view != self.reads:
                continue
            keys = (series_key(self.view, series) for series in part.series)
            places = zip(keys, part.panes.tolist(), part.quarters.tolist(), strict=True)
            for (key, pane, quarter), vitals in zip(places, part.rows.vitals(), strict=True):
                by_quarter = found.setdefault(pane, {}).setdefault(key, {})
                by_quarter.setdefault(quarter, []).append(vitals)
        return found

    def _advance(self, closed: Mapping[bytes, Panes], low: int) -> None:
        """Advance all series that have panes or are due."""
        for key, panes in closed.items():
            self._evaluate(key, panes, low=low)
        for key in [key for key, state in self._states.items() if self._engine.due(state) <= low]:
            self._evaluate(key, (), low=low)


def _joined(by_quarter: Mapping[int, list[Vitals]]) -> Vitals:
    """The vitals of all partitions together."""
    on_time = by_quarter.get(ON_TIME, [])
    if len(by_quarter) == len(on_time) == 1:
        return on_time[0]
    sums = {quarter: merged(parts) for quarter, parts in sorted(by_quarter.items())}
    whole = sums.pop(ON_TIME, Vitals())
    return replace(whole, late=sums) if sums else whole
