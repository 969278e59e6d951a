"""A rule engine that evaluates only some series, and of these only some rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmvitals.rules.engine import RuleEngine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point
    from llmvitals.record.view import View
    from llmvitals.rules.bound_rule import RuleBinder

    Series = tuple[str, ...]
    Chosen = Mapping[str, Mapping[Series, Collection[str]]]
    """View → series → names of rules."""


class ChosenSeries(RuleEngine):
    """An engine for which the other rules and series have no alerts, which the caller knows.

    What the rules of a series share is kept as long as any of them remembers something. So a rule is left out
    only beside one that always does, and that one is evaluated too.
    """

    def __init__(self, engine: RuleEngine, chosen: Chosen) -> None:
        super().__init__(engine.rules, engine.pane)
        self.ratio = engine.ratio
        self._chosen = {
            view: {series: self._wanted(view, names) for series, names in by_series.items()}
            for view, by_series in chosen.items()
        }

    def reads(self, view: str) -> bool:
        """Whether any series of this view is evaluated."""
        return bool(self._chosen.get(view))

    def narrowed(self, view: View, *, limited: bool) -> View:
        """A view of chosen series with only what the rules that are evaluated read of it.

        limited: whether it may have series beyond its limit. Which ones depends on the order of its entries,
        and so on whether it is eager.
        """
        names = frozenset[str]().union(*self._chosen[view.name].values())
        read = [rule.condition for rule in self.rules.by_view[view.name] if rule.name in names]
        eager = view.eager if limited or not view.stored else any(each.eager for each in read)
        return replace(view, eager=eager, meaning=any(each.meaning for each in read))

    def advance(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], **step: Any
    ) -> list[Alert | Point]:
        """Evaluate the rules of a series if it is a chosen one."""
        return super().advance(view, series, state, **step) if series in self._chosen[view] else []

    def headroom(
        self, view: str, series: tuple[str, ...], state: Mapping[str, Any]
    ) -> tuple[dict[tuple[str, ...], int], range]:
        """Open panes of the other series change nothing."""
        return super().headroom(view, series, state) if series in self._chosen[view] else ({}, range(0))

    def quiet(self, view: str, series: tuple[str, ...], state: Mapping[str, Any]) -> bool:
        """The other series have no state, so there is nothing to absorb."""
        return series in self._chosen[view] and super().quiet(view, series, state)

    def _binders(self, view: str, series: Series, family: int | None = None) -> tuple[RuleBinder, ...]:
        wanted = self._chosen[view][series]
        return tuple([each for each in super()._binders(view, series, family) if each.rule.name in wanted])

    def _wanted(self, view: str, names: Collection[str]) -> frozenset[str]:
        rules = self.rules.by_view[view]
        lasting = next((rule.name for rule in rules if rule.condition.remembers), None)
        return frozenset({*names, lasting} if lasting else [rule.name for rule in rules])
