"""A canary that is worse than its control: prompt versions, models or any other values, side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from llmvitals.errors import suggestion
from llmvitals.metrics.amount import BASIS, basis_points
from llmvitals.metrics.columns import CANARY
from llmvitals.record.view import COUNTLESS
from llmvitals.rules.condition.false_alarms import Series
from llmvitals.rules.condition.scope import Scope, known, listed
from llmvitals.rules.kinds.canary.detector import CanaryDetector
from llmvitals.rules.kinds.canary.endpoints import METRICS
from llmvitals.rules.kinds.canary.findings import Question

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

_SCORE: Final = re.compile(r"score\.\S{1,100}")
OUTCOMES: Final = ("status", "error_type")
"""Dimensions that are how a call went, and can't be what it was made with."""


class Canary(Scope):
    """`canary:` of a rule. It fires when the newest value of a dimension is worse than the one before it.

    on: the dimension (prompt_version, model, tags.NAME …). by: by default [app, prompt_name] for
    prompt_version, else [app]. canary, control: values, where they are not to be found (see arms). metrics:
    see endpoints.METRICS, and score.NAME. alpha: the chance that a canary that is no worse alarms at all,
    whenever and however often one looks; of all series together for so many `series` at a time. effect: the
    smallest worsening that is news.

    What was found stands: the alert lasts as long as the comparison, which ends when a newer value comes, or
    one of the two has not been called for a day. It speaks again when another metric is worse as well.
    """

    kind: ClassVar[str] = "canary"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{series}: {note}"
    measurement: ClassVar[str] = CANARY

    on: str
    canary: str | None = Field(None, min_length=1, max_length=200)
    control: str | None = Field(None, min_length=1, max_length=200)
    metrics: tuple[str, ...] = METRICS
    alpha: float = 0.01
    effect: float = 0.0
    series: Series = 1

    @field_validator("on", mode="before")
    @classmethod
    def _on(cls, value: Any) -> str:
        name = known(value)
        if name in OUTCOMES:
            raise ValueError(
                f"{name} is how a call went: write what may be the cause, such as prompt_version"
            )
        if name in COUNTLESS:
            raise ValueError(
                f"every {name} is new: write what is rolled out, such as prompt_version or model"
            )
        return name

    @field_validator("metrics", mode="before")
    @classmethod
    def _metrics(cls, value: Any) -> tuple[str, ...]:
        return listed(value, _metric, "metric", "write a list of metrics, such as [errors, latency, cost]")

    @field_validator("alpha", mode="before")
    @classmethod
    def _alpha(cls, value: Any) -> float:
        share = basis_points(value) / BASIS
        if not 0 < share <= 0.5:
            raise ValueError(
                f"{value} is no chance to live with: write one above 0% and up to 50%, such as 1%"
            )
        return share

    @field_validator("effect", mode="before")
    @classmethod
    def _effect(cls, value: Any) -> float:
        share = basis_points(value) / BASIS
        if share > 10:
            raise ValueError(f"{value} is out of reach: write at most 1000%")
        return share

    @model_validator(mode="after")
    def _whole(self) -> Canary:
        if "by" not in self.model_fields_set:
            own = ("app", "prompt_name") if self.on == "prompt_version" else ("app",)
            object.__setattr__(self, "by", tuple(name for name in own if name != self.on))
        if self.on in self.by:
            raise ValueError(f"by has {self.on}, so that its values never meet: leave it out of by")
        if self.canary is not None and self.canary == self.control:
            raise ValueError("canary and control are the same: name two values, or none")
        return self

    @property
    def arm(self) -> str:
        """The dimension whose values are compared with each other."""
        return self.on

    @property
    def metric(self) -> str:
        """What value and limit are of: how many times worse the metric is that speaks first."""
        return "times_worse"

    @property
    def unit(self) -> Unit:
        """A ratio."""
        return "count"

    @property
    def window_text(self) -> str:
        """It looks at everything since the canary came."""
        return "1m"

    def detector(self, pane: int, key: tuple[str, ...]) -> CanaryDetector:
        """The logic for one series; pane in µs."""
        del key
        alpha = self.alpha / (len(self.metrics) * self.series)
        return CanaryDetector(self, pane, Question(self.metrics, self.effect, alpha))


def _metric(name: Any) -> str:
    if isinstance(name, str) and (name in METRICS or _SCORE.fullmatch(name)):
        return name
    hint = suggestion(str(name), [*METRICS, "score.NAME"])
    raise ValueError(f"{name!r} is not compared{hint}")
