"""One step of the rules of a series: what its panes since the last one change, as alerts and points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.rootcause.cause import Question, cause_of
from llmvitals.rules.alert_builder import Evidence, build_alert, build_point, build_update, resolve_last
from llmvitals.rules.alert_state import newest
from llmvitals.rules.condition.reach import counts_errors
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point
    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rootcause.decomposition import Ratio
    from llmvitals.rootcause.recent import RecentContributors
    from llmvitals.rules.bound_rule import BoundRule, RuleBinder

    Panes = Sequence[tuple[int, Vitals]]


def resolve_all(entries: Mapping[str, dict[str, Any]], now: int, reason: str) -> list[Alert]:
    """Resolve every alert in the states of rules; each resolves after its own last change."""
    states = [state for entry in entries.values() for state in entry["lives"].values() if "alert" in state]
    return [resolve_last(state, max(now, state["at"] + 1), reason) for state in states]


class Step:
    """One call of `RuleEngine.advance`. recent: of the view; None: no evidence is kept, and no points made.

    ratio: see RuleEngine.
    """

    def __init__(
        self,
        pane: int,
        labels: dict[str, str],
        state: dict[str, Any],
        floor: int,
        *,
        recent: RecentContributors | None,
        ratio: Ratio,
    ) -> None:
        self.pane, self.labels, self.state, self.floor = pane, labels, state, floor
        self.recent, self.ratio = recent, ratio
        self.alerts: list[Alert] = []
        self.points: list[Point] = []
        self.bound: list[BoundRule] = []
        self._due: int | None = None

    def bind(self, binders: Sequence[RuleBinder], series: Sequence[str]) -> None:
        """Bind the rules to the series. Alerts of rules that were removed or changed resolve."""
        previous = self.state.get("rules", {})
        self.bound = [binder.bind(series, previous.get(binder.rule.name)) for binder in binders]
        entries = self.state["rules"] = {bound.rule.name: bound.entry for bound in self.bound}
        replaced = {name: entry for name, entry in previous.items() if entries.get(name) is not entry}
        self.alerts += resolve_all(replaced, self.floor * self.pane, "the rule was changed")

    def take(self, pane: int, vitals: Vitals) -> None:
        """Evaluate a closed pane with calls."""
        if self.recent and vitals.on_time:
            self.recent.add(self.state.setdefault("who", {}), pane, vitals)
        late = bool(vitals.late)
        for bound in self.bound:
            read = bound.rule.condition.counted(vitals) if late else vitals
            if read is not None:
                self._evaluate(bound, pane, read)

    def learn(self, pane: int, vitals: Vitals) -> None:
        """Feed the detectors with a closed pane and drop their readings."""
        self._due = None
        for bound in self.bound:
            if (read := bound.rule.condition.counted(vitals)) is not None:
                bound.learn(pane, read)

    def catch_up(self, floor: int) -> None:
        """Let time pass up to the floor without calls."""
        for bound in self.bound if self._wakes() < floor else ():
            self._wake(bound, floor)
        if self._wakes() == FOREVER and all(bound.idle for bound in self.bound):
            self.state.pop("who", None)

    def run(self, closed: Panes) -> None:
        """Evaluate closed panes with calls and let time pass up to the floor, one rule after the other.

        Only without evidence, which is the only thing that rules share.
        """
        for bound in self.bound:
            counted = bound.rule.condition.counted
            parts = [(pane, counted(vitals) if vitals.late else vitals) for pane, vitals in closed]
            read = [(pane, part) for pane, part in parts if part is not None]
            count, readings = bound.take_until_breach(read)
            self._due = None
            for reading in readings:
                self._apply(bound, reading)
            for pane, part in read[count:]:
                if bound.wakes() < pane:
                    self._wake(bound, pane)
                self._evaluate(bound, pane, part)
            self._wake(bound, self.floor)

    def peek(self, opened: Panes) -> None:
        """Evaluate the present content of open panes."""
        if not opened:
            return
        self._due = None
        for bound in self.bound:
            for reading in bound.peek(opened):
                self._apply(bound, reading, opened)

    def save(self) -> None:
        """Keep in the state what the next step needs."""
        entries = self.state["rules"]
        for bound in self.bound:
            if bound.idle:
                del entries[bound.rule.name]
        if entries:
            self.state["due"] = self._wakes()
        else:
            self.state.clear()

    def _wake(self, bound: BoundRule, floor: int) -> None:
        """Evaluate a rule at the panes below the floor at which it wakes without a call."""
        while (pane := bound.wakes()) < floor:
            if pane == NEVER and floor < self.floor:
                break  # The next pane has calls, and is evaluated anyway.
            self._evaluate(bound, floor - 1 if pane == NEVER else pane, None)

    def _wakes(self) -> int:
        """The first pane at which something may change without a call."""
        if self._due is None:
            self._due = min([bound.wakes() for bound in self.bound])
        return self._due

    def _evaluate(self, bound: BoundRule, pane: int, vitals: Vitals | None) -> None:
        """Evaluate a closed pane."""
        self._due = None
        for reading in bound.take(pane, vitals):
            self._apply(bound, reading)
        if bound.entry["lives"]:
            self.update(bound, (pane + 1) * self.pane)

    def update(self, bound: BoundRule, at: int, *, last: bool = False) -> None:
        """Send the values that have moved by a time; last: those of the last minute too."""
        self._due = None
        for state, moved in bound.update(at, last=last):
            evidence = self._evidence(bound, moved, state, ())
            self._send(state, build_update(bound.rule, self.labels, moved, state=state, evidence=evidence))

    def _apply(self, bound: BoundRule, reading: Reading, opened: Panes = ()) -> None:
        """Apply a reading to the alert of its episode."""
        for stand in bound.rule.condition.stands(reading) if self.recent else ():
            closed = min(stand.end // self.pane, self.floor)
            self.points.append(build_point(bound.rule, self.labels, stand, closed))
        alerts = bound.entry["lives"]
        state = alerts.get(reading.begin)
        if state is None:
            if reading.verdict != "breach":
                return  # An alert that is inactive stays so.
            state = alerts[reading.begin] = {}
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
        if not self.recent:
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
