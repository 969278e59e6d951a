"""The rule engine: evaluates all rules on the closed panes of one series after the other.

It returns the alerts that change state and the points of rules. `RuleEngine` holds no state of its own; what
a series needs is one dict of plain data that the caller keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.record.view import DEFAULT_VIEWS, OTHER
from llmvitals.rootcause.decomposition import for_series, unlisted
from llmvitals.rootcause.recent import RecentContributors, fixed_kinds
from llmvitals.rules.alert_builder import last_sent
from llmvitals.rules.bound_rule import adopt_baseline
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.load import load_rules
from llmvitals.rules.shared_rules import SharedRules
from llmvitals.rules.step import Step, resolve_all
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point
    from llmvitals.record.view import View
    from llmvitals.record.vitals import Vitals
    from llmvitals.rootcause.decomposition import Ratio
    from llmvitals.rules.bound_rule import RuleBinder
    from llmvitals.rules.rule import Rules

    Panes = Sequence[tuple[int, Vitals]]


def load_engine(
    folder: Path, pane: int, views: Sequence[View] = DEFAULT_VIEWS, *, only: Collection[str] = ()
) -> RuleEngine:
    """The engine for the rules of a folder.

    pane: µs. views: those that exist anyway. only: names of files; empty: all. Raises one RuleError that
    lists every mistake in the rules.
    """
    return RuleEngine(load_rules(folder, pane, KINDS, views=views, only=only), pane)


class RuleEngine:
    """Evaluates all rules of a folder. Show rules.warnings at the start.

    bare: return alerts only, without points, contributors and root causes, as a backtest does. updates:
    whether a firing alert is returned again, at most once a minute, when only its values have moved. ratio:
    of the prices of models, which the pipeline sets; see rootcause.decomposition.
    """

    def __init__(self, rules: Rules, pane: int, *, bare: bool = False, updates: bool = True) -> None:
        self.rules, self.pane, self.bare = rules, pane, bare
        self.ratio: Ratio = unlisted
        self._dimensions = {view.name: view.home(view.by) for view in rules.views}
        self._recent = {
            view: RecentContributors(pane, fixed_kinds(names)) for view, names in self._dimensions.items()
        }
        self._shared = SharedRules(rules.by_view, self._dimensions, pane, updates=updates)

    @property
    def views(self) -> tuple[View, ...]:
        """The views that rules read. One with the name of an existing view replaces that."""
        return self.rules.views

    def reads(self, view: str) -> bool:
        """Whether any rule reads this view."""
        return view in self.rules.by_view

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        """Give a rule another baseline at a series (None: learn anew); see bound_rule.adopt_baseline."""
        binders = self._shared.of(view) if self.reads(view) else ()
        return adopt_baseline(binders, state, name=rule, baseline=memory)

    def due(self, state: dict[str, Any]) -> int:
        """The first floor at which `advance` has to be called even if no pane of the series closes.

        FOREVER: never; so for an empty state, which may be dropped.
        """
        pane: int = state.get("due", FOREVER)
        return min(pane + 1, FOREVER)

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        """Resolve the alerts of a series that no rule reads any more."""
        resolved = resolve_all(state.get("rules", {}), floor * self.pane, "the rule was removed")
        return sorted(resolved, key=lambda alert: alert.at)

    def advance(  # noqa: PLR0913 - who, up to when, with what
        self,
        view: str,
        series: tuple[str, ...],
        state: dict[str, Any],
        *,
        floor: int,
        closed: Panes = (),
        opened: Panes = (),
        family: int = 1,
    ) -> list[Alert | Point]:
        """Evaluate the rules of one series up to a floor.

        Returns the alerts that changed, in the order of their times, then the points. A budget has a point
        for each minute in which its spend changed, once the minute is over, and one for each threshold that
        is passed; the last point of a minute is exact.

        series: values of the view's `by`, of a split view without its arm; its panes then have `arms` (see
        Vitals). state: {} at first, changed in place, plain data; {} again once nothing has to be remembered.
        floor: first pane not closed. closed: the panes below it that closed since the last call and hold
        calls, in order. opened: the present content of panes from the floor on, in order. family: how many
        series share the false alarms of a rule (see shared_rules). The series that collects what exceeds a
        view's limit has no alerts, because it is many series. The result does not depend on how the closed
        panes are split into calls.
        """
        if OTHER in series:
            return []
        step = self._step(view, series, state, floor, family=family)
        self._take(step, closed, opened)
        return [*sorted(step.alerts, key=lambda alert: alert.at), *step.points]

    def headroom(
        self, view: str, series: tuple[str, ...], state: Mapping[str, Any]
    ) -> tuple[dict[tuple[str, ...], int], range]:
        """The least amounts of open panes of a series that have to be passed to `advance`; see Detector.

        The panes in the range don't count. It holds as long as state["rules"] is the same object, and once
        `advance` has seen the state. {}: none have to be.
        """
        if OTHER in series:
            return {}, range(0)
        entries, binders = state.get("rules", {}), self._binders(view, series)
        if not entries.keys() <= {binder.rule.name for binder in binders}:
            return {(): 0}, range(0)  # The alerts of a rule that was replaced have to resolve.
        least: dict[tuple[str, ...], int] = {}
        settled = list[range]()
        for binder in binders:
            if binder.rule.condition.eager:
                bound = binder.bind(series, entries.get(binder.rule.name))
                for names, amount in bound.detector.headroom(bound.seen).items():
                    least[names] = min(amount, least.get(names, amount))
                settled.append(bound.detector.settled(bound.seen))
        begins, ends = [panes.start for panes in settled], [panes.stop for panes in settled]
        return least, range(max(begins, default=0), min(ends, default=0))

    def quiet(self, view: str, series: tuple[str, ...], state: Mapping[str, Any]) -> bool:
        """Whether `advance` returns nothing as long as all amounts stay below `headroom`.

        So for closed panes without late calls, which `absorb` then takes.
        """
        entries, binders = state.get("rules", {}), self._binders(view, series)
        if OTHER in series or (state and entries.keys() != {binder.rule.name for binder in binders}):
            return False
        every = [binder.bind(series, entries.get(binder.rule.name)) for binder in binders]
        same = all(entries.get(bound.rule.name, bound.entry) is bound.entry for bound in every)
        return same and all(bound.quiet for bound in every)

    def absorb(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], *, floor: int, closed: Panes
    ) -> None:
        """Take closed panes of a quiet series: what `advance`, which returns nothing, does to the state."""
        if not state or self.due(state) <= floor:
            self._take(self._step(view, series, state, floor), closed)
            return
        # Nothing happens but that sums grow.
        entries, recent = state["rules"], None if self.bare else self._recent[view]
        every = [binder.bind(series, entries[binder.rule.name]) for binder in self._binders(view, series)]
        for pane, vitals in closed:
            if recent is not None:
                recent.add(state.setdefault("who", {}), pane, vitals)
            for bound in every:
                bound.learn(pane, vitals)
        state["due"] = min([bound.wakes() for bound in every])

    def finish(self, view: str, series: tuple[str, ...], state: dict[str, Any], floor: int) -> list[Alert]:
        """Return the values that have moved since the last records; the log ends at the floor."""
        step = self._step(view, series, state, floor)
        for bound in step.bound:
            step.update(bound, floor * self.pane, last=True)
        step.save()
        return step.alerts

    def warm_up(self, view: str, series: tuple[str, ...], state: dict[str, Any], closed: Panes) -> None:
        """Feed an empty state with panes in which, as the caller knows, no rule changes an alert."""
        step = self._step(view, series, state, closed[-1][0] + 1)
        for pane, vitals in closed:
            step.learn(pane, vitals)
        step.save()

    def _take(self, step: Step, closed: Panes, opened: Panes = ()) -> None:
        if self.bare:
            step.run(closed)
        else:
            for pane, vitals in closed:
                step.catch_up(pane)
                step.take(pane, vitals)
            step.catch_up(step.floor)
        step.peek(opened)
        step.save()

    def _step(
        self,
        view: str,
        series: tuple[str, ...],
        state: dict[str, Any],
        floor: int,
        *,
        family: int | None = None,
    ) -> Step:
        labels = dict(zip(self._dimensions[view], series, strict=True))
        recent, ratio = (
            (None, unlisted) if self.bare else (self._recent[view], for_series(self.ratio, labels))
        )
        step = Step(self.pane, labels, state, floor, recent=recent, ratio=ratio)
        step.bind(self._binders(view, series, family), series)
        return step

    def _binders(
        self, view: str, series: tuple[str, ...], family: int | None = None
    ) -> tuple[RuleBinder, ...]:
        """The rules that are evaluated at a series; family: see `SharedRules.of`."""
        del series
        return self._shared.of(view, family)


def firing(state: Mapping[str, Any]) -> list[Alert]:
    """The alerts of a series that fire, as they were sent last but with their worst values so far."""
    states = [state for entry in state["rules"].values() for state in entry["lives"].values()]
    sent = [last_sent(state) for state in states if "alert" in state]
    return [msgspec.structs.replace(alert, update=True) for alert in sent]
