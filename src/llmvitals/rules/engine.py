"""The rule engine: evaluates all rules on the closed panes of one series after the other.

It returns the alerts that change state and the points of rules. `RuleEngine` holds no state of its own; what
a series needs is one dict of plain data that the caller keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.record.view import DEFAULT_VIEWS, OTHER
from llmvitals.rootcause.cause import Question, cause_of
from llmvitals.rootcause.decomposition import for_series, unlisted
from llmvitals.rootcause.recent import RecentContributors, fixed_kinds
from llmvitals.rules.alert_builder import (
    Evidence,
    build_alert,
    build_point,
    build_update,
    last_sent,
    resolve_last,
)
from llmvitals.rules.alert_state import newest, share_spend
from llmvitals.rules.bound_rule import BoundRule, adopt_baseline
from llmvitals.rules.condition.reach import counts_errors
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.load import load_rules
from llmvitals.rules.shared_rules import SharedRules
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point
    from llmvitals.record.reading import Reading
    from llmvitals.record.view import View
    from llmvitals.record.vitals import Vitals
    from llmvitals.rootcause.decomposition import Ratio
    from llmvitals.rules.rule import Rule, Rules

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
        self.rules, self.pane, self.bare, self.updates = rules, pane, bare, updates
        self.ratio: Ratio = unlisted
        self._dimensions = {view.name: view.home(view.by) for view in rules.views}
        self._shared = SharedRules(rules.by_view)

    @property
    def views(self) -> tuple[View, ...]:
        """The views that rules read. One with the name of an existing view replaces that."""
        return self.rules.views

    def reads(self, view: str) -> bool:
        """Whether any rule reads this view."""
        return view in self.rules.by_view

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        """Give a rule another baseline at a series (None: learn anew); see bound_rule.adopt_baseline."""
        rules = self.rules.by_view.get(view, ())
        return adopt_baseline(rules, self.pane, state, name=rule, baseline=memory)

    def due(self, state: dict[str, Any]) -> int:
        """The first floor at which `advance` has to be called even if no pane of the series closes.

        FOREVER: never; so for an empty state, which may be dropped.
        """
        pane: int = state.get("due", FOREVER)
        return min(pane + 1, FOREVER)

    def resolve_removed(self, state: dict[str, Any], floor: int) -> list[Alert]:
        """Resolve the alerts of a series that no rule reads any more."""
        resolved = _resolve_all(state.get("rules", {}), floor * self.pane, "the rule was removed")
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
        for pane, vitals in closed:
            step.catch_up(pane)
            step.take(pane, vitals)
        step.catch_up(floor)
        step.peek(opened)
        step.save()
        return [*sorted(step.alerts, key=lambda alert: alert.at), *step.points]

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

    def _step(
        self, view: str, series: tuple[str, ...], state: dict[str, Any], floor: int, *, family: int = 1
    ) -> _Step:
        labels = dict(zip(self._dimensions[view], series, strict=True))
        step = _Step(self.pane, labels, state, floor, bare=self.bare)
        step.ratio = for_series(self.ratio, labels)
        step.bind(self._shared.of(view, family), updates=self.updates)
        return step


def firing(state: Mapping[str, Any]) -> list[Alert]:
    """The alerts of a series that fire, as they were sent last but with their worst values so far."""
    states = [state for entry in state["rules"].values() for state in entry["lives"].values()]
    sent = [last_sent(state) for state in states if "alert" in state]
    return [msgspec.structs.replace(alert, update=True) for alert in sent]


def _resolve_all(entries: Mapping[str, dict[str, Any]], now: int, reason: str) -> list[Alert]:
    """Resolve every alert in the states of rules; each resolves after its own last change."""
    states = [state for entry in entries.values() for state in entry["lives"].values() if "alert" in state]
    return [resolve_last(state, max(now, state["at"] + 1), reason) for state in states]


class _Step:
    """One call of `advance`."""

    def __init__(
        self, pane: int, labels: dict[str, str], state: dict[str, Any], floor: int, *, bare: bool
    ) -> None:
        self.pane, self.labels, self.state, self.floor, self.bare = pane, labels, state, floor, bare
        self.recent = RecentContributors(pane, fixed_kinds(labels))
        self.ratio: Ratio = unlisted
        self.alerts: list[Alert] = []
        self.points: list[Point] = []
        self.bound: list[BoundRule] = []

    def bind(self, rules: Sequence[Rule], *, updates: bool) -> None:
        """Bind the rules to the series. Alerts of rules that were removed or changed resolve."""
        previous = self.state.get("rules", {})
        entries = self.state["rules"] = {}
        for rule in rules:
            entry = previous.get(rule.name)
            bound = BoundRule.bind(rule, self.pane, self.labels, entry, updates=updates)
            if bound.entry is previous.get(rule.name):
                del previous[rule.name]
            entries[rule.name] = bound.entry
            self.bound.append(bound)
        self.alerts += _resolve_all(previous, self.floor * self.pane, "the rule was changed")

    def take(self, pane: int, vitals: Vitals) -> None:
        """Evaluate a closed pane with calls."""
        if vitals.on_time and not self.bare:
            self.recent.add(self.state.setdefault("who", {}), pane, vitals)
        for bound in self.bound:
            if (read := bound.rule.condition.counted(vitals)) is not None:
                self._evaluate(bound, pane, read)

    def learn(self, pane: int, vitals: Vitals) -> None:
        """Feed the detectors with a closed pane and drop their readings."""
        for bound in self.bound:
            if (read := bound.rule.condition.counted(vitals)) is not None:
                bound.detector.take(bound.seen, pane, read)

    def catch_up(self, floor: int) -> None:
        """Let time pass up to the floor without calls."""
        for bound in self.bound:
            while (pane := bound.wakes()) < floor:
                if pane == NEVER and floor < self.floor:
                    break  # The next pane has calls, and is evaluated anyway.
                self._evaluate(bound, floor - 1 if pane == NEVER else pane, None)
        if all(bound.idle for bound in self.bound):
            self.state.pop("who", None)

    def peek(self, opened: Panes) -> None:
        """Evaluate the present content of open panes."""
        for bound in self.bound if opened else ():
            for reading in bound.peek(opened):
                self._apply(bound, reading, opened)

    def save(self) -> None:
        """Keep in the state what the next step needs."""
        entries = self.state["rules"]
        for bound in self.bound:
            if bound.idle:
                del entries[bound.rule.name]
        if entries:
            self.state["due"] = min(bound.wakes() for bound in self.bound)
        else:
            self.state.clear()

    def _evaluate(self, bound: BoundRule, pane: int, vitals: Vitals | None) -> None:
        """Evaluate a closed pane."""
        for reading in bound.take(pane, vitals):
            self._apply(bound, reading)
        self.update(bound, (pane + 1) * self.pane)

    def update(self, bound: BoundRule, at: int, *, last: bool = False) -> None:
        """Send the values that have moved by a time; last: those of the last minute too."""
        if bound.alert_state.rising and bound.alert_state.updates and len(bound.alerts) > 1:
            last |= share_spend(bound.alerts.values(), at)
        for state in bound.alerts.values():
            if moved := bound.alert_state.update(state, at, last=last):
                evidence = self._evidence(bound, moved, state, ())
                self._send(
                    state, build_update(bound.rule, self.labels, moved, state=state, evidence=evidence)
                )

    def _apply(self, bound: BoundRule, reading: Reading, opened: Panes = ()) -> None:
        """Apply a reading to the alert of its episode."""
        for stand in () if self.bare else bound.rule.condition.stands(reading):
            closed = min(stand.end // self.pane, self.floor)
            self.points.append(build_point(bound.rule, self.labels, stand, closed))
        state = bound.alerts.setdefault(reading.begin, {})
        change = bound.alert_state.step(state, reading)
        if change == "resolved" and reading.verdict == "none":
            self._refresh(bound, state)
            self.alerts.append(resolve_last(state, reading.at, reading.note or "too few calls"))
        elif change:
            evidence = self._evidence(bound, reading, state, opened)
            self._send(state, build_alert(bound.rule, self.labels, reading, state=state, evidence=evidence))
        if not state or change == "resolved":
            del bound.alerts[reading.begin]

    def _refresh(self, bound: BoundRule, state: dict[str, Any]) -> None:
        """Put the newest values into the last record of an alert."""
        if "now" in state:
            last = build_update(bound.rule, self.labels, newest(state), state=state)
            state["alert"] = msgspec.to_builtins(last)

    def _send(self, state: dict[str, Any], alert: Alert) -> None:
        state["alert"] = msgspec.to_builtins(alert)
        self.alerts.append(alert)

    def _evidence(self, bound: BoundRule, reading: Reading, state: dict[str, Any], opened: Panes) -> Evidence:
        if self.bare:
            return Evidence([], [], "")
        recent = self.recent.ahead(self.state.get("who", {}), opened, reading.at)
        condition = bound.rule.condition
        kind = "latency" if condition.unit == "ms" else "cost"
        errors = counts_errors(condition.metric) and not reading.gone
        heaviest, exemplars = self.recent.top(recent, kind, reading.at, errors=errors)
        if reading.verdict != "breach":
            return Evidence(heaviest, exemplars, state.get("alert", {}).get("cause", ""))
        if reading.gone:
            return Evidence(heaviest, exemplars)
        question = Question(condition.metric, condition.unit, reading, self.ratio)
        cause = cause_of(question, self.recent, recent, state)
        return Evidence(heaviest, exemplars, cause, bound.trend(reading.at // self.pane - 1))
