"""Rules: what to watch (a condition), for how long, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from llmvitals.routing import Routing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import NoData, Reading
    from llmvitals.record.view import Condition, View
    from llmvitals.record.vitals import Vitals


class Detector(Protocol):
    """A condition's logic for one series. `state` is plain data that the caller keeps, {} at first.

    Panes are handed in once each, in order; those without calls only where `wakes` asks for them.
    """

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """What panes still open show already."""

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the next reading may differ without a call; FOREVER: never."""


class Kind(Protocol):
    """A kind of condition: a pydantic model of what stands under its key in a rule.

    kind: the key. eager: reads open panes. lasting: takes `for`, `keep_firing_for` and `no_data`. shown:
    whether its readings are points too.
    later: keys that a later version will know. summary: what an alert says if its rule says nothing.
    facets: what it says of a facet (see Alert) then, and unless the rule's own summary has a {note}.
    grave: levels at which an alert is critical, whatever its rule says, and that it keeps to its end.
    silence, severity: what `no_data` and the severity are if the rule doesn't say. meaning: whether
    it reads the sums of embeddings.
    arm: the dimension whose values it compares with each other, "" for none; not among `by`.
    measurement: that of its points (see Reading.stands), "" where there are none.
    """

    kind: ClassVar[str]
    eager: ClassVar[bool]
    lasting: ClassVar[bool]
    later: ClassVar[tuple[str, ...]]
    facets: ClassVar[Mapping[str, str]]
    grave: ClassVar[frozenset[str]]
    silence: ClassVar[NoData]
    severity: ClassVar[str]
    meaning: ClassVar[bool]
    measurement: ClassVar[str]

    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def where(self) -> tuple[tuple[str, Condition], ...]: ...
    @property
    def arm(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def unit(self) -> Unit: ...
    @property
    def window_text(self) -> str: ...
    @property
    def shown(self) -> bool: ...
    @property
    def summary(self) -> str: ...

    def detector(self, pane: int, key: tuple[str, ...]) -> Detector:
        """The logic for the series whose values of `by` are key; pane in µs."""

    def adopt(self, state: dict[str, Any], memory: bytes | None) -> bool:
        """Have a detector's state go by a memory from elsewhere, None: by none; see Scope."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Durations in µs; view: the name of the view it reads."""

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

    @property
    def severity(self) -> str:
        """info, warning or critical."""
        return self.labels.get("severity", self.condition.severity)

    def severity_at(self, level: str) -> str:
        """That of an alert at a level."""
        return "critical" if level in self.condition.grave else self.severity

    def labels_at(self, level: str) -> dict[str, str]:
        """Those of an alert at a level."""
        return (
            {**self.labels, "severity": self.severity_at(level)}
            if "severity" in self.labels
            else {**self.labels}
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a folder. views: what they read. by_view: view → its rules. warnings: to be shown.

    routing: the `notify:` section.
    """

    rules: tuple[Rule, ...] = ()
    views: tuple[View, ...] = ()
    by_view: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    routing: Routing = field(default_factory=Routing)
