"""A metric that got worse than it was at the same hours of past weeks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmvitals.errors import suggestion
from llmvitals.metrics.amount import BASIS, basis_points
from llmvitals.metrics.registry import comparable, metric_of
from llmvitals.rules.condition.false_alarms import FalseAlarms, Series, run_length
from llmvitals.rules.condition.scope import Scope
from llmvitals.rules.condition.sentences import named
from llmvitals.rules.kinds.regression.detector import Seasonal
from llmvitals.rules.kinds.regression.gauges import gauge_of
from llmvitals.window import HOUR, MINUTE, duration_text

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Side
    from llmvitals.record.alert import Unit

AGAINST: Final[dict[str, tuple[int, int, int, int]]] = {"weeks": (168, 4, 2, 8), "days": (24, 7, 3, 14)}
"""What is compared with: its hours, how many by default, at least and at most."""
DIRECTIONS: Final = ("up", "down", "both")
EFFECT: Final = 0.2
SCORE_EFFECT: Final = 0.1


class Regression(Scope):
    """`regression:` of a rule. It fires when a metric is worse than at the same hours of past weeks or days.

    against: weeks or days. past: how many of them count, the median of which is what is usual; nothing is
    said before there are two weeks or three days. effect: the least change that counts, a share of what is
    usual. direction: up, down or both; by default where the metric gets worse. min_calls: of an hour, for it
    to be compared with, and of the change. false_alarms, series: see detect/promise.

    Hours are those of UTC. A change that stays becomes usual when it fills half of the past.
    """

    kind: ClassVar[str] = "regression"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    metric: str
    against: Literal["weeks", "days"] = "weeks"
    past: int | None = Field(None, ge=2, le=14)
    effect: float | None = None
    direction: Literal["up", "down", "both"] | None = None
    min_calls: int = Field(30, ge=1, le=1_000_000)
    false_alarms: FalseAlarms = 1.0
    series: Series = 100

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
            raise ValueError(f"{value} is no change to look for: write 1% to 1000%, such as 20%")
        return points / BASIS

    @model_validator(mode="after")
    def _past(self) -> Regression:
        _, _, least, most = AGAINST[self.against]
        if self.past is not None and not least <= self.past <= most:
            raise ValueError(f"past: {self.past} {self.against} can't be: write {least} to {most}")
        return self

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return metric_of(self.metric).unit

    @property
    def window_text(self) -> str:
        """How far back it looks."""
        season, usually, _, _ = AGAINST[self.against]
        return duration_text((self.past or usually) * season * HOUR)

    @property
    def summary(self) -> str:
        """A sentence."""
        usual = f"{{limit}} is usual at this time of past {self.against} ({{note}}): {{series}}"
        if sentence := metric_of(self.metric).sentence:
            return f"{{value}} of {sentence}, {usual}"
        return f"{named(self.metric)} is {{value}}, {usual}"

    def detector(self, pane: int, key: tuple[str, ...]) -> Seasonal:
        """The logic for one series; pane in µs."""
        del key
        season, usually, least, _ = AGAINST[self.against]
        direction = self.direction or metric_of(self.metric).worse
        sides: tuple[Side, ...] = ("up", "down") if direction == "both" else (direction,)
        steps = run_length(self.false_alarms, self.series, MINUTE) * len(sides)
        return Seasonal(
            metric=self.metric,
            gauge=gauge_of(self.metric),
            sides=sides,
            season=season,
            past=self.past or usually,
            least=least,
            few=self.min_calls,
            effect=self.effect or (SCORE_EFFECT if self.unit == "score" else EFFECT),
            level=math.log(steps),
            pane=pane,
        )
