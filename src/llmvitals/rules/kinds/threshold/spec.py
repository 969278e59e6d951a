"""A statistic over a trailing window, against a fixed limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmvitals.metrics.amount import limit
from llmvitals.metrics.registry import metric_of
from llmvitals.record.reading import Reading
from llmvitals.rules.condition.scope import Scope, Window
from llmvitals.rules.condition.sentences import named
from llmvitals.rules.condition.statistic import Statistic
from llmvitals.window import MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import Verdict

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

    metric: str
    above: float | None = None
    below: float | None = None
    window: Window = 5 * MINUTE
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
    def summary(self) -> str:
        """A sentence where there is one for the metric."""
        if sentence := metric_of(self.metric).sentence:
            return f"{{value}} of {sentence} within {{window}} (limit {{limit}}): {{series}}"
        return f"{named(self.metric)} over {{window}} is {{value}}, the limit is {{limit}}: {{series}}"

    def detector(self, pane: int, key: tuple[str, ...]) -> Statistic:
        """The logic for one series; pane in µs."""
        del key
        metric = metric_of(self.metric)
        return Statistic.over(self, metric, pane, few=self.min_calls or (1 if metric.additive else FEW))

    def judged(self, at: int, value: float) -> Reading:
        """What a value means."""
        if self.above is not None:
            release = self.above if self.resolve_below is None else self.resolve_below
            verdict: Verdict = "breach" if value > self.above else "clear" if value <= release else "hold"
            return Reading(at, verdict, value, self.above)
        bound = self.below or 0.0
        release = bound if self.resolve_above is None else self.resolve_above
        return Reading(
            at, "breach" if value < bound else "clear" if value >= release else "hold", value, bound
        )
