"""The fields of `regression:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from llmvitals.errors import Mistakes, suggestion
from llmvitals.metrics.amount import BASIS, basis_points
from llmvitals.metrics.registry import COMPARABLE, comparable, metric_of
from llmvitals.rules.condition.false_alarms import AUTO, FalseAlarms, SeriesOrAuto
from llmvitals.rules.condition.fields import SCORE_MEAN, SHARE, MinCalls, Schema
from llmvitals.rules.condition.kind import Kind, Late, RequiredData, named
from llmvitals.rules.condition.reach import few_calls, outcome_mistakes
from llmvitals.rules.kinds.regression.detector import RegressionDetector
from llmvitals.rules.kinds.regression.gauges import gauge_of, sketch_of
from llmvitals.rules.kinds.regression.power import power
from llmvitals.window import HOUR, MINUTE, duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.errors import Spot
    from llmvitals.metrics.metric import Side
    from llmvitals.record.alert import Bound, Unit
    from llmvitals.rules.condition.power import Power, Traffic

AGAINST: Final[dict[str, tuple[int, int, int, int]]] = {"weeks": (168, 4, 2, 8), "days": (24, 7, 3, 14)}
"""Season → its hours; the default, least and greatest number of past seasons."""
DIRECTIONS: Final = ("up", "down", "both")
EFFECT: Final = 0.2
SCORE_EFFECT: Final = 0.1
_EFFECT: Final[Schema] = SHARE | {"pattern": r"^0*([1-9][0-9]{0,2}(\.[0-9]{0,2}0*)?|1000(\.0*)?)\s*%$"}


def _bounds(against: str) -> Schema:
    """The bounds of `past`."""
    _, _, least, most = AGAINST[against]
    return {"properties": {"past": {"minimum": least, "maximum": most}}}


class Regression(Kind):
    """A metric that is worse than at the same hours of past weeks or days.

    against: weeks or days. past: the number of them that are compared; their median is the baseline. It needs
    five weekdays or three days. effect: the least change that counts, a share of the baseline. direction: up,
    down or both; by default the direction in which the metric gets worse. min_calls: of a part
    of a block (see blocks), and of the change. false_alarms, series: see condition/false_alarms.

    Hours are in UTC. A lasting change becomes the baseline once it fills half of the past.
    """

    kind: ClassVar[str] = "regression"
    by_minute: ClassVar[bool] = True
    bound: ClassVar[Bound] = "usual"

    metric: Annotated[
        str,
        WithJsonSchema({"type": "string", "anyOf": [{"enum": list(COMPARABLE)}, {"pattern": SCORE_MEAN}]}),
    ] = Field(description="The statistic that is compared.")
    against: Literal["weeks", "days"] = Field(
        "weeks", description="The same hours of past weeks, or of past days."
    )
    past: int | None = Field(
        None,
        ge=2,
        le=14,
        description="The number of past weeks or days; default: 4 or 7.",
    )
    effect: Annotated[float | None, WithJsonSchema(_EFFECT)] = Field(
        None,
        description="The least change that counts, as a share; default: 20%, or 10% for a score.",
    )
    direction: Literal["up", "down", "both"] | None = Field(
        None, description="The direction of the change; default: the one in which the metric gets worse."
    )
    min_calls: MinCalls = Field(30, description="The least calls of a change, and of each comparison.")
    false_alarms: FalseAlarms = 1
    series: SeriesOrAuto = AUTO

    @field_validator("metric", mode="before")
    @classmethod
    def _metric(cls, value: Any) -> str:
        return comparable(value)

    @field_validator("against", "direction", mode="before")
    @classmethod
    def _word(cls, value: Any, info: ValidationInfo) -> str:
        known = tuple(AGAINST) if info.field_name == "against" else DIRECTIONS
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}{suggestion(str(value), known)}")
        return str(value)

    @field_validator("effect", mode="before")
    @classmethod
    def _effect(cls, value: Any) -> float:
        points = basis_points(value)
        if not 100 <= points <= 10 * BASIS:
            raise ValueError(f"{value} is not a valid effect: write 1% to 1000%, such as 20%")
        return points / BASIS

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"against": {"const": "days"}}, "required": ["against"]},
                    "then": _bounds("days"),
                    "else": _bounds("weeks"),
                }
            ]
        }
    )

    @model_validator(mode="after")
    def _past(self) -> Regression:
        _, _, least, most = AGAINST[self.against]
        if self.past is not None and not least <= self.past <= most:
            raise Mistakes({"past": f"past: {self.past} {self.against} can't be: write {least} to {most}"})
        if mistakes := outcome_mistakes(self.metric, self.where):
            raise Mistakes(mistakes)
        return self

    @property
    def warnings(self) -> Mapping[Spot, str]:
        """Too few calls for a percentile."""
        own = "min_calls" in self.model_fields_set
        return few_calls(self.metric, "min_calls" if own else "metric", self.min_calls)

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return metric_of(self.metric).unit

    @property
    def window_text(self) -> str:
        """How far back it looks, as rules write it."""
        season, usually, _, _ = AGAINST[self.against]
        return duration_text((self.past or usually) * season * HOUR)

    @property
    def summary(self) -> str:
        """The metric's own summary, or a general one."""
        usual = f"{{limit}} is usual at this time of past {self.against} ({{note}}): {{series}}"
        if sentence := metric_of(self.metric).sentence:
            return f"{{value}} of {sentence}, {usual}"
        return f"{named(self.metric)} is {{value}}, {usual}"

    def detector(self, pane: int, key: tuple[str, ...]) -> RegressionDetector:
        """It is the same for each series."""
        del key
        season, usually, least, _ = AGAINST[self.against]
        direction = self.direction or metric_of(self.metric).worse
        sides: tuple[Side, ...] = ("up", "down") if direction == "both" else (direction,)
        return RegressionDetector(
            metric=self.metric,
            gauge=gauge_of(self.metric),
            sides=sides,
            season=season,
            past=self.past or usually,
            least=least,
            few=self.min_calls,
            effect=self.effect or (SCORE_EFFECT if self.unit == "score" else EFFECT),
            months=(self.series or 1) / self.false_alarms,
            pane=pane,
        )

    def power(self, traffic: Traffic) -> list[Power]:
        """By the information of a block."""
        return power(self.detector(MINUTE, ()), traffic)

    @property
    def late(self) -> Late:
        """Late calls count only in a metric that is about them."""
        return "counted" if metric_of(self.metric).counts_late else "ignored"

    @property
    def remembers(self) -> bool:
        """A metric of all calls has an hour to remember; another one may have none."""
        metric = metric_of(self.metric)
        return metric.counted == metric.under == "calls"

    @property
    def required_data(self) -> RequiredData | None:
        """What the gauge reads; None for a score."""
        metric, sketch = metric_of(self.metric), sketch_of(self.metric)
        if metric.score:
            return None
        logs = (metric.logs,) if metric.logs and not sketch else ()
        return RequiredData((*RequiredData.of(metric).sums, *logs), (), (sketch,) if sketch else ())
