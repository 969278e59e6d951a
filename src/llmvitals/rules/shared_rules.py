"""Rules whose false alarms the live series share (see condition.false_alarms)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmvitals.rules.bound_rule import RuleBinder
from llmvitals.rules.condition.false_alarms import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.rules.rule import Rule


def shares(rule: Rule) -> bool:
    """Whether the live series share the promise of a rule."""
    return getattr(rule.condition, "series", 1) is None


def shared(rule: Rule, family: int) -> Rule:
    """The rule with the number of series that share its promise, if it leaves that to us.

    family: the shards times the live series of the rule's view on this shard, at least 1.
    """
    if not shares(rule):
        return rule
    return replace(rule, condition=rule.condition.model_copy(update={"series": min(family, MOST)}))


class SharedRules:
    """The rules of each view, for the number of series that share their promises.

    by_view: view → its rules. dimensions: view → those of its series. pane, updates: see RuleBinder.
    """

    def __init__(
        self,
        by_view: Mapping[str, tuple[Rule, ...]],
        dimensions: Mapping[str, tuple[str, ...]],
        pane: int,
        *,
        updates: bool = True,
    ) -> None:
        self._by_view, self._dimensions, self._pane, self._updates = by_view, dimensions, pane, updates
        self._last: dict[str, tuple[int, tuple[RuleBinder, ...]]] = {}

    def of(self, view: str, family: int | None = None) -> tuple[RuleBinder, ...]:
        """The rules of a view; made again when the number has changed, which is once a day.

        family: None where it does not matter: the last one, or 1.
        """
        known = self._last.get(view)
        if known is None or family not in (None, known[0]):
            dimensions, number = self._dimensions[view], family or 1
            known = (
                number,
                tuple(
                    RuleBinder(shared(rule, number), dimensions, self._pane, updates=self._updates)
                    for rule in self._by_view[view]
                ),
            )
            self._last[view] = known
        return known[1]
