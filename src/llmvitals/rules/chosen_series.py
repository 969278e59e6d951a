"""A rule engine that evaluates only some series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmvitals.rules.engine import RuleEngine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point


class ChosenSeries(RuleEngine):
    """An engine for which the others have no alerts, which the caller knows. chosen: view → its series."""

    def __init__(self, engine: RuleEngine, chosen: Mapping[str, Collection[tuple[str, ...]]]) -> None:
        super().__init__(engine.rules, engine.pane)
        self.ratio = engine.ratio
        self._chosen = chosen

    def reads(self, view: str) -> bool:
        """Whether any series of this view is evaluated."""
        return bool(self._chosen.get(view))

    def advance(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], **step: Any
    ) -> list[Alert | Point]:
        """Evaluate the rules of a series if it is a chosen one."""
        return super().advance(view, series, state, **step) if series in self._chosen[view] else []

    def headroom(
        self, view: str, series: tuple[str, ...], state: Mapping[str, Any]
    ) -> dict[tuple[str, ...], int]:
        """Open panes of the other series change nothing."""
        return super().headroom(view, series, state) if series in self._chosen[view] else {}

    def quiet(self, view: str, series: tuple[str, ...], state: Mapping[str, Any]) -> bool:
        """The other series have no state, so there is nothing to absorb."""
        return series in self._chosen[view] and super().quiet(view, series, state)
