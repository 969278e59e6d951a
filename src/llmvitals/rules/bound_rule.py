"""Rules bound to one series: their detectors, their alert states, and their parts of the series' state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmvitals.rules.alert_state import AlertState, NoDataPolicy, share_spend
from llmvitals.rules.condition.kind import Kind
from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmvitals.record.reading import Reading
    from llmvitals.record.vitals import Vitals
    from llmvitals.rules.condition.detector import Detector
    from llmvitals.rules.rule import Rule

    Panes = Sequence[tuple[int, Vitals]]


@dataclass(slots=True)
class BoundRule:
    """A rule at one series.

    entry: the rule's part of the series' state, plain data: "shape" (what the state depends on), "seen" (the
    detector's state), "lives" (episode → the state of its alert) and "gap" (the no-data policy's state).
    """

    rule: Rule
    detector: Detector
    alert_state: AlertState
    no_data: NoDataPolicy
    entry: dict[str, Any]
    _wakes: int | None = None
    """What `wakes` has said; None: the entry has changed since."""

    def wakes(self) -> int:
        """The first pane at which something may change without a call."""
        if self._wakes is None:
            self._wakes = self._next_wake()
        return self._wakes

    def _next_wake(self) -> int:
        entry = self.entry
        wakes = min(self.detector.wakes(entry["seen"]), FOREVER) if entry["seen"] else FOREVER
        if entry["gap"]:
            wakes = min(wakes, self.no_data.wakes(entry["gap"]))
        if entry["lives"]:
            wakes = min(wakes, *map(self.alert_state.wakes, entry["lives"].values()))
        return wakes

    def take(self, pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane; vitals: what the rule reads of it, None without calls."""
        self._wakes = None
        detected = self.detector.take(self.entry["seen"], pane, vitals)
        gap = self.entry["gap"]
        if not gap and self.no_data.mode == "ok":  # as most rules: it replaces no reading
            return detected
        return [reading for found in detected for reading in self.no_data.read(gap, found)]

    def take_until_breach(self, closed: Panes) -> tuple[int, list[Reading]]:
        """Read closed panes, see Detector; none if other readings than a breach matter, too."""
        entry = self.entry
        if not closed or entry["lives"] or entry["gap"] or self.no_data.mode != "ok":
            return 0, []
        self._wakes = None
        return self.detector.take_until_breach(entry["seen"], closed)

    def learn(self, pane: int, vitals: Vitals) -> None:
        """Read a closed pane in which, as the caller knows, no alert changes."""
        self._wakes = None
        self.detector.take(self.seen, pane, vitals)

    def update(self, at: int, *, last: bool) -> Iterator[tuple[dict[str, Any], Reading]]:
        """Yield the alerts whose values have moved by a time (µs), and these; see AlertState.update."""
        self._wakes = None
        alerts = self.alerts.values()
        if self.alert_state.rising and self.alert_state.updates and len(alerts) > 1:
            last |= share_spend(alerts, at)
        for state in alerts:
            if moved := self.alert_state.update(state, at, last=last):
                yield state, moved

    def peek(self, opened: Panes) -> list[Reading]:
        """Read panes that are still open."""
        self._wakes = None
        counted = self.rule.condition.counted
        read = [(pane, part) for pane, vitals in opened if (part := counted(vitals)) is not None]
        return self.detector.peek(self.seen, read) if read else []

    def trend(self, pane: int) -> list[float]:
        """The values up to the end of a pane, oldest first."""
        return self.detector.trend(self.seen, pane)

    @property
    def seen(self) -> dict[str, Any]:
        """The detector's state."""
        seen: dict[str, Any] = self.entry["seen"]
        return seen

    @property
    def alerts(self) -> dict[str, dict[str, Any]]:
        """Episode → the state of its alert."""
        alerts: dict[str, dict[str, Any]] = self.entry["lives"]
        return alerts

    @property
    def quiet(self) -> bool:
        """Whether closed panes, too, change no alert and give no point; see Detector.quiet."""
        entry = self.entry
        return not (entry["lives"] or entry["gap"]) and self.detector.quiet(entry["seen"])

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        entry = self.entry
        return not (entry["seen"] or entry["lives"] or entry["gap"])


class RuleBinder:
    """Binds one rule to series of its view. What many series share is made once.

    dimensions: of the series. pane: µs. updates: whether alerts are sent again when only their values move.
    """

    def __init__(self, rule: Rule, dimensions: Sequence[str], pane: int, *, updates: bool = True) -> None:
        self.rule = rule
        self._pane = pane
        self._key = [dimensions.index(name) for name in rule.condition.by]
        self._varies = type(rule.condition).variant is not Kind.variant
        self._detectors: dict[tuple[str, ...], tuple[Detector, str]] = {}
        """Variant (see Kind) → its detector, and the shape of its entries."""
        self._no_data = NoDataPolicy(rule.no_data, pane)
        self._alert_state = AlertState(
            pane=pane,
            hold=rule.hold,
            keep=rule.keep,
            grave=rule.condition.critical_levels,
            rising=rule.condition.bound == "budget",
            updates=updates,
        )

    def bind(self, series: Sequence[str], entry: dict[str, Any] | None) -> BoundRule:
        """Bind the rule to a series. entry: what was kept of the rule; kept if its shape fits."""
        if not self._varies:
            return self.bind_variant((), entry)
        key = tuple([series[place] for place in self._key])
        return self.bind_variant(self.rule.condition.variant(key), entry)

    def bind_variant(self, variant: tuple[str, ...], entry: dict[str, Any] | None) -> BoundRule:
        """Bind the rule to a series of this variant (see Kind); (): most series."""
        if variant not in self._detectors:
            detector = self.rule.condition.detector(self._pane, variant)
            self._detectors[variant] = detector, detector.shape + self._no_data.shape
        detector, shape = self._detectors[variant]
        if entry is None or entry.get("shape") != shape:
            entry = {"shape": shape, "seen": {}, "lives": {}, "gap": {}}
        entry.setdefault("gap", {})
        return BoundRule(self.rule, detector, self._alert_state, self._no_data, entry)


def adopt_baseline(
    binders: Sequence[RuleBinder], state: dict[str, Any], *, name: str, baseline: bytes | None
) -> bool:
    """Give a rule another baseline in the state of one series; None: it learns anew.

    binders: of the rules that read the view. state: as `RuleEngine.advance` keeps it. Alerts that fire stay
    as they are. The state of an earlier rule of the same name is set aside, and its alerts resolve at the
    next step. Returns False if there is no such rule, if it learns nothing, or if the bytes are no baseline
    of it.
    """
    binder = next((binder for binder in binders if binder.rule.name == name), None)
    if binder is None:
        return False
    entries = state.get("rules", {})
    bound = binder.bind_variant((), entries.get(name))
    try:
        adopted: bool = binder.rule.condition.adopt(bound.seen, baseline)
    except ValueError:
        return False
    if adopted:
        if name in entries and entries[name] is not bound.entry:
            entries[f"{name}\0"] = entries[name]
        state["rules"] = {**entries, name: bound.entry}
    return adopted
