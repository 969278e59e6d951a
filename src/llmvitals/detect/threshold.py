"""A statistic over a trailing window, against a fixed limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmvitals.detect.amount import limit
from llmvitals.detect.metric import Metric, metric_of
from llmvitals.detect.scope import Scope, trailing_window
from llmvitals.detect.trailing import Trailing, bucket_length
from llmvitals.record.reading import Reading, Verdict
from llmvitals.window import FOREVER, MINUTE, SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.record.vitals import Vitals

FEW: Final = 20
"""Default of min_calls for shares, means and quantiles; 1 for totals and rates."""
ABSENCE: Final = frozenset(("calls", "calls_per_s"))
"""Metrics of which `below` would mean absence, which is not read without a call."""


class Threshold(Scope):
    """`threshold:` of a rule.

    above, below: the limit, one of the two, in the metric's unit. resolve_below, resolve_above: where the
    alert is released; between the two it stays what it is. min_calls: of the calls that the metric rests on.
    """

    kind: ClassVar[str] = "threshold"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{metric} over {window} is {value}, the limit is {limit}: {series}"

    metric: str
    above: float | None = None
    below: float | None = None
    window: int = 5 * MINUTE
    min_calls: int | None = Field(None, ge=1, le=1_000_000)
    resolve_below: float | None = None
    resolve_above: float | None = None

    @field_validator("metric", mode="before")
    @classmethod
    def _metric(cls, value: Any) -> str:
        metric_of(value)
        return str(value)

    @field_validator("above", "below", "resolve_below", "resolve_above", mode="before")
    @classmethod
    def _limit(cls, value: Any, info: ValidationInfo) -> float:
        metric = info.data.get("metric")
        if info.field_name == "below" and metric in ABSENCE and value is not None:
            raise ValueError(
                "below would not fire when calls stop: write absence: {window: 15m} in place of threshold"
            )
        return limit(value, metric_of(metric).unit) if metric else 0.0

    @field_validator("window", mode="before")
    @classmethod
    def _window(cls, value: Any, info: ValidationInfo) -> int:
        return trailing_window(value, info)

    @model_validator(mode="after")
    def _sides(self) -> Threshold:
        if (self.above is None) == (self.below is None):
            raise ValueError("write one of above and below")
        wrong = self.resolve_above if self.below is None else self.resolve_below
        if wrong is not None:
            raise ValueError("above is released by resolve_below, and below by resolve_above")
        if self.above is not None and (self.resolve_below or 0.0) > self.above:
            raise ValueError("resolve_below lies above the limit: write a lower value")
        if self.below is not None and self.resolve_above is not None and self.resolve_above < self.below:
            raise ValueError("resolve_above lies below the limit: write a higher value")
        return self

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return metric_of(self.metric).unit

    @property
    def window_text(self) -> str:
        """The window as one writes it."""
        return duration_text(self.window)

    @property
    def shown(self) -> bool:
        """Its metrics are written anyway."""
        return False

    def detector(self, pane: int, key: tuple[str, ...]) -> ThresholdDetector:
        """The logic for one series; pane in µs."""
        del key
        metric, length = metric_of(self.metric), bucket_length(self.window, pane)
        few = self.min_calls or (1 if metric.steady else FEW)
        return ThresholdDetector(self, metric, few, pane, Trailing(length // pane, self.window // length))


@dataclass(frozen=True, slots=True)
class ThresholdDetector:
    """Reads the statistic as of each pane's end.

    State: that of the trailing window. A reading is "none" while there are fewer than `few` calls.
    """

    rule: Threshold
    metric: Metric
    few: int
    pane: int
    trailing: Trailing

    @property
    def shape(self) -> str:
        """What the state depends on: after a change of it, the state is begun anew."""
        return f"{self.rule.metric} {self.trailing.panes} {self.trailing.buckets} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """The pane is over; vitals are what it held."""
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, self.metric.sample(vitals))
        return [self._reading(state, (pane + 1) * self.pane)]

    def peek(self, state: dict[str, Any], opened: Sequence[tuple[int, Vitals]]) -> list[Reading]:
        """An unfinished pane tells nothing: a statistic may still go either way."""
        del state, opened
        return []

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the reading may change without a call; FOREVER when there is none."""
        if "sum" not in state:
            return FOREVER
        # What leaves can't make too few calls enough.
        enough = self.metric.calls(state["sum"]) >= self.few
        return self.trailing.changes(state) if enough else self.trailing.empties(state)

    def _reading(self, state: dict[str, Any], at: int) -> Reading:
        rule = self.rule
        bound = rule.above if rule.above is not None else rule.below or 0.0
        calls = self.metric.calls(state["sum"]) if "sum" in state else 0
        value = self.metric.read(state["sum"], rule.window / SECOND) if calls >= self.few else None
        if value is None:
            return Reading(at, "none", calls, self.few)
        return Reading(at, self._verdict(value, bound), value, bound)

    def _verdict(self, value: float, bound: float) -> Verdict:
        rule = self.rule
        if rule.above is not None:
            release = bound if rule.resolve_below is None else rule.resolve_below
            return "breach" if value > bound else "clear" if value <= release else "hold"
        release = bound if rule.resolve_above is None else rule.resolve_above
        return "breach" if value < bound else "clear" if value >= release else "hold"
