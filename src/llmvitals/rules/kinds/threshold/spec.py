"""The fields of `threshold:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from llmvitals.errors import Mistakes
from llmvitals.metrics.amount import limit
from llmvitals.metrics.registry import METRICS, metric_of
from llmvitals.record.reading import Reading
from llmvitals.rules.condition.fields import NUMBER, SCORE_MEAN, MinCalls, Window, limit_schema, when
from llmvitals.rules.condition.kind import FixedLimit, Kind, Late, RequiredData, named
from llmvitals.rules.condition.reach import cost_without_outcomes, few_calls, out_of_reach, outcome_mistakes
from llmvitals.rules.condition.screening import Screen
from llmvitals.rules.condition.trailing import Statistic
from llmvitals.rules.kinds.threshold.screen import may_fire
from llmvitals.window import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.errors import Spot
    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import Verdict

FEW: Final = 20
"""Default of min_calls for shares, means and quantiles; it is 1 for totals and rates."""
ABSENCE: Final = ("calls", "calls_per_s")
"""Metrics for which `below` would mean an absence: a threshold is not evaluated without calls."""
_SIDES: Final = ("above", "below", "resolve_below", "resolve_above")


def _limits() -> list[Any]:
    """JSON Schema: the limits have to fit the metric's unit."""
    units: dict[Unit, list[str]] = {}
    for name, metric in METRICS.items():
        units.setdefault(metric.unit, []).append(name)
    found = [
        when("metric", names, dict.fromkeys(_SIDES, limit_schema(unit))) for unit, names in units.items()
    ]
    score = {"properties": {"metric": {"pattern": SCORE_MEAN}}}
    return [
        *found,
        when("metric", [*ABSENCE], {"below": False}),
        {"if": score, "then": {"properties": dict.fromkeys(_SIDES, NUMBER)}},
    ]


class Threshold(Kind):
    """A metric over a trailing window, compared with a fixed limit.

    above, below: the limit, one of the two, in the metric's unit. resolve_below, resolve_above: where the
    alert resolves; between the two limits its state does not change. window: µs. min_calls: the least number
    of calls that the metric is computed from.
    """

    kind: ClassVar[str] = "threshold"
    lasting: ClassVar[bool] = True

    metric: Annotated[
        str, WithJsonSchema({"type": "string", "anyOf": [{"enum": list(METRICS)}, {"pattern": SCORE_MEAN}]})
    ] = Field(description="The metric that is compared with the limit.")
    above: Annotated[float | None, WithJsonSchema({})] = Field(
        None, description="The limit, in the metric's unit: 4s, 20%, dollars or a number."
    )
    below: Annotated[float | None, WithJsonSchema({})] = Field(None, description="A lower limit.")
    window: Window = Field("5m", validate_default=True)
    min_calls: MinCalls | None = Field(
        None,
        description="With fewer calls in the window it does not fire; "
        "default: 20, or 1 for totals and rates.",
    )
    resolve_below: Annotated[float | None, WithJsonSchema({})] = Field(
        None, description="With above: it resolves below this."
    )
    resolve_above: Annotated[float | None, WithJsonSchema({})] = Field(
        None, description="With below: it resolves above this."
    )

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

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["above"]}, {"required": ["below"]}],
            "allOf": _limits(),
            "dependentRequired": {"resolve_below": ["above"], "resolve_above": ["below"]},
        }
    )

    @model_validator(mode="after")
    def _sides(self) -> Threshold:
        if (self.above is None) == (self.below is None):
            raise ValueError("write one of above and below")
        limits = {name: value for name in _SIDES if (value := getattr(self, name)) is not None}
        mistakes = (
            outcome_mistakes(self.metric, self.where)
            | cost_without_outcomes(self.metric, self.where, self.by)
            | out_of_reach(self.metric, limits)
        )
        wrong = "resolve_above" if self.below is None else "resolve_below"
        if getattr(self, wrong) is not None:
            mistakes[wrong] = "above takes resolve_below, and below takes resolve_above"
        elif self.above is not None and self.resolve_below is not None and self.resolve_below > self.above:
            mistakes["resolve_below"] = "resolve_below is above the limit: write a lower value"
        elif self.below is not None and self.resolve_above is not None and self.resolve_above < self.below:
            mistakes["resolve_above"] = "resolve_above is below the limit: write a higher value"
        if mistakes:
            raise Mistakes(mistakes)
        return self

    @property
    def warnings(self) -> Mapping[Spot, str]:
        """Too few calls for a percentile, and a limit that everything exceeds."""
        field = "min_calls" if self.min_calls else "metric"
        found = few_calls(self.metric, field, self.fixed_limit.min_calls)
        if self.above == 0 and self.unit == "ms":
            found["above"] = "every call takes longer, so it would always fire: write a higher limit"
        return found

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return metric_of(self.metric).unit

    @property
    def window_text(self) -> str:
        """The window, as rules write it."""
        return duration_text(self.window)

    @property
    def summary(self) -> str:
        """The metric's own summary, or a general one."""
        if sentence := metric_of(self.metric).sentence:
            return f"{{value}} of {sentence} within {{window}} (limit {{limit}}): {{series}}"
        return f"{named(self.metric)} over {{window}} is {{value}}, the limit is {{limit}}: {{series}}"

    def detector(self, pane: int, key: tuple[str, ...]) -> Statistic:
        """The metric over the window."""
        del key
        return Statistic.of(self, metric_of(self.metric), pane, few=self.fixed_limit.min_calls)

    def reading(self, at: int, value: float) -> Reading:
        """The reading for a value at a time (µs)."""
        if self.above is not None:
            release = self.above if self.resolve_below is None else self.resolve_below
            verdict: Verdict = "breach" if value > self.above else "clear" if value <= release else "hold"
            return Reading(at, verdict, value, self.above)
        bound = self.below or 0.0
        release = bound if self.resolve_above is None else self.resolve_above
        return Reading(
            at, "breach" if value < bound else "clear" if value >= release else "hold", value, bound
        )

    @property
    def fixed_limit(self) -> FixedLimit:
        """Its limit."""
        above = self.above is not None
        return FixedLimit(
            metric=self.metric,
            limit=(self.above if self.above is not None else self.below) or 0.0,
            above=above,
            window=self.window,
            min_calls=self.min_calls or (1 if metric_of(self.metric).additive else FEW),
        )

    @property
    def late(self) -> Late:
        """Late calls count only in a metric that is about them."""
        return "counted" if metric_of(self.metric).counts_late else "ignored"

    @property
    def required_data(self) -> RequiredData | None:
        """What the metric is computed from; None for a score."""
        metric = metric_of(self.metric)
        return None if metric.score else RequiredData.of(metric)

    @property
    def screen(self) -> Screen:
        """Windows whose value may lie beyond the limit."""
        limit = self.fixed_limit
        return Screen(self.window, lambda windows: may_fire(limit, windows))
