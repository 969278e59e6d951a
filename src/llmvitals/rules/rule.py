"""A rule: its condition, how long that has to hold, and the texts of its alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmvitals.routing import Routing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.reading import NoData
    from llmvitals.record.view import View
    from llmvitals.rules.condition.kind import Kind


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Durations in µs; view: the name of the view it reads; place: its file and line."""

    name: str
    group: str
    condition: Kind
    view: str
    hold: int = 0
    keep: int = 0
    no_data: NoData = "ok"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    notify: Mapping[str, str] = field(default_factory=dict)
    place: str = field(default="", compare=False)

    @property
    def severity(self) -> str:
        """info, warning or critical."""
        return self.labels.get("severity", self.condition.severity)

    def severity_at(self, level: str) -> str:
        """The severity of an alert at a level."""
        return "critical" if level in self.condition.critical_levels else self.severity

    def labels_at(self, level: str) -> dict[str, str]:
        """The labels of an alert at a level."""
        return (
            {**self.labels, "severity": self.severity_at(level)}
            if "severity" in self.labels
            else {**self.labels}
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a folder. views: those they read. by_view: view → its rules. warnings: shown at the start.

    routing: the `notify:` section.
    """

    rules: tuple[Rule, ...] = ()
    views: tuple[View, ...] = ()
    by_view: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    routing: Routing = field(default_factory=Routing)
