"""Chooses the views that rules read: one for each pair of (where, by), an existing one if it fits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from llmvitals.record.view import View
from llmvitals.rules.rule import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.view import Condition
    from llmvitals.rules.condition.kind import Kind
    from llmvitals.rules.rule import Rule

    Key = tuple[frozenset[str], tuple[tuple[str, Condition], ...], str]
    """by, where, arm"""


class Views:
    """The views of a set of rules; rules with the same (where, by) share one."""

    def __init__(self, present: Sequence[View]) -> None:
        self._present = {_key(view): view for view in reversed(present)}
        self._used: dict[Key, View] = {}

    def name(self, condition: Kind) -> str:
        """The name of the view that a condition reads; the order of `by` does not matter."""
        key = _key(condition)
        view = self._used.get(key) or self._present.get(key)
        if view is None:
            by = (*condition.by, condition.arm) if condition.arm else condition.by
            view = View(_name(condition), by, condition.where, stored=False, split=bool(condition.arm))
        self._used[key] = replace(
            view,
            eager=view.eager or condition.eager,
            meaning=view.meaning or condition.meaning,
            contributors=True,
        )
        return view.name

    def rules(self, rules: Sequence[Rule], warnings: tuple[str, ...]) -> Rules:
        """The rules, grouped by their views."""
        by_view: dict[str, tuple[Rule, ...]] = {}
        for rule in rules:
            by_view[rule.view] = (*by_view.get(rule.view, ()), rule)
        return Rules(tuple(rules), tuple(self._used.values()), by_view, warnings)


def _key(scope: View | Kind) -> Key:
    return frozenset(scope.by), scope.where, "" if isinstance(scope, View) else scope.arm


def _name(condition: Kind) -> str:
    """A name that is the same for the same (where, by) on every machine."""
    text = repr(
        [(name, sorted(wanted.values), wanted.regex, wanted.negate) for name, wanted in condition.where]
    )
    digest = "" if not condition.where else "|" + hashlib.sha256(text.encode()).hexdigest()[:8]
    arm = condition.arm and f"/{condition.arm}"
    return f"rule:{','.join(sorted(condition.by))}{arm}{digest}"
