"""Evaluates the rules of one view, series by series; where the panes come from, subclasses know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from llmvitals.merge.roster import Roster, RosterState
from llmvitals.record.alert import Alert
from llmvitals.rules.engine import RuleEngine, firing
from llmvitals.rules.rule import Rules
from llmvitals.rules.shared_rules import shares
from llmvitals.window import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.backtest.reader import Block
    from llmvitals.merge.plan import MergePlan
    from llmvitals.record.view import View
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.rule import Rule

    Panes = Sequence[tuple[int, Vitals]]

Key = TypeVar("Key", int, bytes)
"""By which a subclass knows a series."""
_OFFSET: Final = 0
"""In place of the offset of a frame: the limits of series do not change in a backtest."""


class SeriesEvaluator(ABC, Generic[Key]):
    """rules: of one view; afterwards their names. alerts: their changes so far.

    reads: the view whose entries it reads; None: it reads calls. found: after the end of a screening, the
    series in which rules may fire, and these rules. plan: of merge, which has the same series. screening:
    only find the series in which each rule may fire: a series is read until each rule has had an alert, and
    does not share the false alarms of a rule with others, so that it has the first one no later.
    """

    def __init__(self, view: View, rules: Sequence[Rule], plan: MergePlan, *, screening: bool) -> None:
        self.alerts: list[Alert] = []
        self.rules = frozenset(rule.name for rule in rules)
        self.view = view.name
        self.reads: str | None = None
        self.found: dict[tuple[str, ...], set[str]] = {}
        self._screening = screening
        self._found: dict[Key, set[str]] = {}
        """The series that have had an alert, in a screening, and the rules of those alerts."""
        self._pane = plan.pane_us
        self._engine = RuleEngine(
            Rules(tuple(rules), (view,), {view.name: tuple(rules)}), self._pane, bare=True, updates=False
        )
        self._plan = replace(plan, engine=self._engine)
        self._roster = Roster(self._plan, saved=RosterState(), parts={}, until=0)
        self._shares = not screening and any(shares(rule) for rule in rules)
        """Whether the series share a promise, so that it matters how many there are."""
        self._length = self._roster.period(self.view) // self._pane
        self._period, self._family = NEVER, 1
        self._states: dict[Key, dict[str, Any]] = {}

    @abstractmethod
    def take(self, block: Block, low: int) -> None:
        """Evaluate the panes below `low`; block: what they hold, except that of earlier blocks."""

    @abstractmethod
    def name(self, key: Key) -> tuple[str, ...]:
        """The values of the view's `by`; of a split view without its arm."""

    def end(self) -> None:
        """Add the newest values of the alerts that still fire."""
        self.found = {self.name(key): rules for key, rules in self._found.items()}
        for state in self._states.values():
            self.alerts += firing(state)

    def _begins(self, pane: int) -> bool:
        """Whether a pane is the first to come of its period."""
        return self._shares and pane // self._length > self._period

    def _begin(self, pane: int) -> None:
        """Begin the period of a pane, and count the series that are live in it, as merge does."""
        self._period = pane // self._length
        self._roster.end_frame(_OFFSET, pane, rose=True)
        ((_, self._family),) = self._roster.live(self.view, pane, pane + 1)

    def _note(self, names: Sequence[bytes], pane: int) -> None:
        """Note that series had calls in a pane, whose period has begun."""
        if self._shares:
            self._roster.rejected(_OFFSET, self.view, names, [pane] * len(names))

    def _evaluate(self, key: Key, closed: Panes, *, low: int) -> bool:
        """Evaluate a series up to a floor, see RuleEngine.advance; returns whether an alert changed."""
        state = self._states.pop(key, {})
        if self._is_done(key):
            return False
        outputs = self._engine.advance(
            self.view, self.name(key), state, floor=low, closed=closed, family=self._family
        )
        alerts = [output for output in outputs if isinstance(output, Alert)]
        if alerts and self._screening:
            self._found.setdefault(key, set()).update(alert.rule for alert in alerts)
        else:
            self.alerts += alerts
        if state and not self._is_done(key):
            self._states[key] = state
        return bool(alerts)

    def _is_done(self, key: Key) -> bool:
        """Whether each rule has had an alert of this series, in a screening."""
        return key in self._found and self._found[key] == self.rules
