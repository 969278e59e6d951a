"""Detection and alerting of one series after the other: closed panes → changes of alerts, points of budgets.

`Watch` holds no state of its own; what a series needs is one dict of plain data that its owner keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from llmvitals.record.view import DEFAULT_VIEWS, OTHER
from llmvitals.rootcause import line as cause
from llmvitals.rootcause.contributors import Suspects, fixed
from llmvitals.rules.adoption import adopt
from llmvitals.rules.alert_state import AlertState, NoDataPolicy
from llmvitals.rules.compose import Evidence, composed, over, stood
from llmvitals.rules.kinds import KINDS
from llmvitals.rules.load import load_rules
from llmvitals.window import FOREVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from llmvitals.record.alert import Alert
    from llmvitals.record.point import Point
    from llmvitals.record.reading import Reading
    from llmvitals.record.view import View
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.detector import Detector
    from llmvitals.rules.rule import Rule, Rules

    Panes = Sequence[tuple[int, Vitals]]


def load_engine(
    folder: Path, pane: int, views: Sequence[View] = DEFAULT_VIEWS, *, only: Collection[str] = ()
) -> RuleEngine:
    """The watch over the rules of a folder; pane in µs; views: those that are there anyway.

    only: names of files, if not all. Raises RuleError that tells everything that is wrong with the rules.
    """
    return RuleEngine(load_rules(folder, pane, KINDS, views=views, only=only), pane)


class RuleEngine:
    """All rules. rules.warnings are to be shown at the start.

    bare: changes of alerts and nothing else: no points, and nobody is named who carried an alert.
    """

    def __init__(self, rules: Rules, pane: int, *, bare: bool = False) -> None:
        self.rules, self.pane, self.bare = rules, pane, bare
        self._dimensions = {view.name: view.home(view.by) for view in rules.views}

    @property
    def views(self) -> tuple[View, ...]:
        """What the rules read. One named like a view that is there anyway takes its place."""
        return self.rules.views

    def watches(self, view: str) -> bool:
        """Whether any rule reads this view."""
        return view in self.rules.by_view

    def adopt(self, view: str, state: dict[str, Any], rule: str, memory: bytes | None) -> bool:
        """Have a rule go by another memory of a series (None: learn anew); see alert/adoption."""
        return adopt(self.rules.by_view.get(view, ()), self.pane, state, name=rule, memory=memory)

    def due(self, state: dict[str, Any]) -> int:
        """The first floor at which `advance` has to be called even if nothing of the series closed.

        FOREVER: at none, as that of an empty state, which may be dropped.
        """
        pane: int = state.get("due", FOREVER)
        return min(pane + 1, FOREVER)

    def ended(self, state: dict[str, Any], floor: int) -> list[Alert]:
        """The ends of the alerts in the memory of a series that no rule reads any more."""
        ends = _ends(state.get("rules", {}), floor * self.pane, "the rule was removed")
        return sorted(ends, key=lambda alert: alert.at)

    def advance(
        self,
        view: str,
        series: tuple[str, ...],
        state: dict[str, Any],
        *,
        floor: int,
        closed: Panes = (),
        opened: Panes = (),
    ) -> list[Alert | Point]:
        """The changes of one series' alerts, in the order of their times, and how its budgets stand.

        Of a budget there is a point for each minute in which its spend changed, when the minute is over, and
        one for each threshold that is passed; the last of a minute's points holds, and is exact.
        series: values of the view's `by`, of a split view without its arm; its panes then have `arms`
        (see Vitals). state: {} at first; mutated; plain data; {} again once nothing
        is left to remember. floor: first pane not closed. closed: the panes below it that closed since the
        last call and hold calls, in order. opened: the present content of panes from the floor on, in order.
        Of the series that takes what is over a view's limit nothing is said: it is many, and no one of them.
        However the same closed panes are split into calls, alerts and points are the same.
        """
        if OTHER in series:
            return []
        step = self._step(view, series, state, floor)
        for pane, vitals in closed:
            step.catch_up(pane)
            step.take(pane, vitals)
        step.catch_up(floor)
        step.peek(opened)
        step.leave()
        return [*sorted(step.alerts, key=lambda alert: alert.at), *step.points]

    def prime(self, view: str, series: tuple[str, ...], state: dict[str, Any], closed: Panes) -> None:
        """Let an empty state know what panes held of which one knows that no rule says anything."""
        step = self._step(view, series, state, closed[-1][0] + 1)
        for pane, vitals in closed:
            step.learn(pane, vitals)
        step.leave()

    def _step(self, view: str, series: tuple[str, ...], state: dict[str, Any], floor: int) -> _Step:
        labels = dict(zip(self._dimensions[view], series, strict=True))
        step = _Step(self.pane, labels, state, floor, bare=self.bare)
        step.man(self.rules.by_view[view])
        return step


def _ends(entries: Mapping[str, dict[str, Any]], now: int, why: str) -> list[Alert]:
    """The end of each alert that is alive in what rules remember."""
    lives = [life for entry in entries.values() for life in entry["lives"].values() if "alert" in life]
    return [over(life, max(now, life["at"] + 1), why) for life in lives]


@dataclass(frozen=True, slots=True)
class _BoundRule:
    """A rule at one series: its logic, and its part of the series' state."""

    rule: Rule
    detector: Detector
    life: AlertState
    gap: NoDataPolicy
    entry: dict[str, Any]

    def wakes(self) -> int:
        """The first pane at which something may change without a call."""
        lives = map(self.life.wakes, self.lives.values())
        return min(self.detector.wakes(self.seen), self.gap.wakes(self.entry["gap"]), *lives, FOREVER)

    def take(self, pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        readings = self.detector.take(self.seen, pane, vitals)
        return [each for reading in readings for each in self.gap.read(self.entry["gap"], reading)]

    def trend(self, pane: int) -> list[float]:
        """The values up to the end of a pane, oldest first."""
        return self.detector.trend(self.seen, pane)

    @property
    def seen(self) -> dict[str, Any]:
        """The detector's state."""
        seen: dict[str, Any] = self.entry["seen"]
        return seen

    @property
    def lives(self) -> dict[str, dict[str, Any]]:
        """The states of its alerts."""
        lives: dict[str, dict[str, Any]] = self.entry["lives"]
        return lives

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.seen or self.lives or self.entry["gap"])


class _Step:
    """One call of `advance`."""

    def __init__(
        self, pane: int, labels: dict[str, str], state: dict[str, Any], floor: int, *, bare: bool
    ) -> None:
        self.pane, self.labels, self.state, self.floor, self.bare = pane, labels, state, floor, bare
        self.suspects = Suspects(pane, fixed(labels))
        self.alerts: list[Alert] = []
        self.points: list[Point] = []
        self.posts: list[_BoundRule] = []

    def man(self, rules: Sequence[Rule]) -> None:
        """Every rule takes its post; what belongs to a rule that is no more, or is another now, ends."""
        had = self.state.get("rules", {})
        entries = self.state["rules"] = {}
        for rule in rules:
            detector = rule.condition.detector(
                self.pane, tuple(self.labels[name] for name in rule.condition.by)
            )
            gap = NoDataPolicy(rule.no_data, self.pane)
            entry: dict[str, Any] = {"shape": detector.shape + gap.shape, "seen": {}, "lives": {}}
            if had.get(rule.name, {}).get("shape") == entry["shape"]:
                entry = had.pop(rule.name)
            entry.setdefault("gap", {})
            entries[rule.name] = entry
            life = AlertState(self.pane, rule.hold, rule.keep, rule.condition.critical_levels)
            self.posts.append(_BoundRule(rule, detector, life, gap, entry))
        self.alerts += _ends(had, self.floor * self.pane, "the rule was changed")

    def take(self, pane: int, vitals: Vitals) -> None:
        """A pane with calls has closed."""
        if not self.bare:
            self.suspects.add(self.state.setdefault("who", {}), pane, vitals)
        for post in self.posts:
            for reading in post.take(pane, vitals):
                self._live(post, reading)

    def learn(self, pane: int, vitals: Vitals) -> None:
        """A pane with calls has closed, and nothing is said of it."""
        for post in self.posts:
            post.detector.take(post.seen, pane, vitals)

    def catch_up(self, floor: int) -> None:
        """Nothing was called between the last pane taken and the floor, but time has passed."""
        for post in self.posts:
            while (pane := post.wakes()) < floor:
                if pane == NEVER and floor < self.floor:
                    break  # The pane that follows reads it anew: calls were made in it.
                for reading in post.take(floor - 1 if pane == NEVER else pane, None):
                    self._live(post, reading)
        if all(post.idle for post in self.posts):
            self.state.pop("who", None)

    def peek(self, opened: Panes) -> None:
        """What open panes hold by now."""
        for post in self.posts if opened else ():
            for reading in post.detector.peek(post.seen, opened):
                self._live(post, reading, opened)

    def leave(self) -> None:
        """Keep what the next step needs, and nothing else."""
        entries = self.state["rules"]
        for post in self.posts:
            if post.idle:
                del entries[post.rule.name]
        if entries:
            self.state["due"] = min(post.wakes() for post in self.posts)
        else:
            self.state.clear()

    def _live(self, post: _BoundRule, reading: Reading, opened: Panes = ()) -> None:
        for stand in () if self.bare else post.rule.condition.stands(reading):
            self.points.append(stood(post.rule, self.labels, stand, min(stand.end // self.pane, self.floor)))
        life = post.lives.setdefault(reading.begin, {})
        change = post.life.step(life, reading)
        if change == "resolved" and reading.verdict == "none":
            self.alerts.append(over(life, reading.at, reading.note or "too few calls"))
        elif change:
            evidence = self._evidence(post, reading, life, opened)
            alert = composed(post.rule, self.labels, reading, life=life, evidence=evidence)
            life["alert"] = msgspec.to_builtins(alert)
            self.alerts.append(alert)
        if not life or change == "resolved":
            del post.lives[reading.begin]

    def _evidence(self, post: _BoundRule, reading: Reading, life: dict[str, Any], opened: Panes) -> Evidence:
        if self.bare:
            return Evidence([], [], "")
        who = self.suspects.ahead(self.state.get("who", {}), opened, reading.at)
        condition = post.rule.condition
        told = self.suspects.told(who, "latency" if condition.unit == "ms" else "cost", reading.at)
        if reading.verdict != "breach":
            return Evidence(*told, life.get("alert", {}).get("cause", ""))
        if reading.gone:
            return Evidence(*told)
        spans = self.suspects.spans(who, reading.at)
        why = cause.line(condition.metric, condition.unit, *spans, fixed=self.suspects.apart) if spans else ""
        return Evidence(*told, why, post.trend(reading.at // self.pane - 1))
