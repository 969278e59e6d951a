"""Rules whose false alarms the live series share (see condition.false_alarms)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmvitals.rules.condition.false_alarms import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.rules.rule import Rule


def shared(rule: Rule, family: int) -> Rule:
    """The rule with the number of series that share its promise, if it leaves that to us.

    family: the shards times the live series of the rule's view on this shard, at least 1.
    """
    condition = rule.condition
    if getattr(condition, "series", family) is not None:
        return rule
    return replace(rule, condition=condition.model_copy(update={"series": min(family, MOST)}))


class SharedRules:
    """The rules of each view, for the number of series that share their promises."""

    def __init__(self, by_view: Mapping[str, tuple[Rule, ...]]) -> None:
        self._by_view = by_view
        self._last: dict[str, tuple[int, tuple[Rule, ...]]] = {}

    def of(self, view: str, family: int) -> tuple[Rule, ...]:
        """The rules of a view; made again when the number has changed, which is once a day."""
        known = self._last.get(view)
        if known is None or known[0] != family:
            known = family, tuple(shared(rule, family) for rule in self._by_view[view])
            self._last[view] = known
        return known[1]
