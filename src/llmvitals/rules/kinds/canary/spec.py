"""The fields of `canary:` in a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from llmvitals.errors import Mistakes, suggestion
from llmvitals.metrics.amount import BASIS, basis_points
from llmvitals.metrics.columns import CANARY
from llmvitals.record.view import COUNTLESS
from llmvitals.rules.condition.dimensions import DIMENSION, known, listed, meant
from llmvitals.rules.condition.false_alarms import Series
from llmvitals.rules.condition.fields import SHARE, Schema
from llmvitals.rules.condition.kind import Kind
from llmvitals.rules.kinds.canary.detector import CanaryDetector
from llmvitals.rules.kinds.canary.endpoints import METRICS
from llmvitals.rules.kinds.canary.hypotheses import Hypotheses
from llmvitals.rules.kinds.canary.power import power

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Unit
    from llmvitals.rules.condition.power import Power, Traffic

_SCORE: Final = r"score\.\S{1,100}"
OUTCOMES: Final = ("status", "error_type")
"""Dimensions that are the outcome of a call, not its cause."""
_ON: Final[Schema] = {**DIMENSION, "not": {"enum": sorted({*OUTCOMES, *COUNTLESS})}}
_METRIC: Final[Schema] = {"type": "string", "anyOf": [{"enum": list(METRICS)}, {"pattern": f"^{_SCORE}$"}]}
_METRICS: Final[Schema] = {
    "anyOf": [_METRIC, {"type": "array", "items": _METRIC, "minItems": 1, "uniqueItems": True}]
}
_ALPHA: Final = SHARE | {"pattern": r"^(?!0*\.?0*\s*%)0*(50(\.0*)?|[0-4]?[0-9]?(\.[0-9]{0,2}0*)?)\s*%$"}
_EFFECT: Final = SHARE | {"pattern": r"^0*(1000(\.0*)?|[0-9]{0,3}(\.[0-9]{0,2}0*)?)\s*%$"}


class Canary(Kind):
    """A new prompt version, model or any other value that is worse than the one before it.

    on: the dimension (prompt_version, model, tags.NAME …). by: by default [app, prompt_name] for
    prompt_version, else [app]. canary, control: the values, where they are not the newest and the one before
    it (see arms). metrics: see endpoints.METRICS, and score.NAME. alpha: the chance of a false alarm for a
    canary, over all times at which it is tested; for all of `series` canaries together. effect: the least
    worsening that counts.

    An alert lasts as long as the comparison, which ends when a newer value comes, or one of the two has had
    no calls for a day while there were others. It fires again when another metric is worse too.
    """

    kind: ClassVar[str] = "canary"
    by_minute: ClassVar[bool] = True
    summary: ClassVar[str] = "{series}: {note}"
    measurement: ClassVar[str] = CANARY

    on: Annotated[str, WithJsonSchema(_ON)] = Field(
        description="The dimension whose values are compared, such as prompt_version or model."
    )
    canary: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The new value; default: the newest one with enough calls.",
    )
    control: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The value it is compared with; default: the most used of the older ones.",
    )
    metrics: Annotated[tuple[str, ...], WithJsonSchema(_METRICS)] = Field(
        METRICS,
        description="What must not get worse, default: all. The first one has half of alpha.",
    )
    alpha: Annotated[float, WithJsonSchema(_ALPHA)] = Field(
        "1%",
        validate_default=True,
        description="The chance of a false alarm for a canary, at any time; at most 50%.",
    )
    effect: Annotated[float, WithJsonSchema(_EFFECT)] = Field(
        "0%",
        validate_default=True,
        description="The least worsening that counts, as a share of the control.",
    )
    series: Series = Field(1, description="The number of canaries that alpha holds for, together.")

    @field_validator("on", mode="before")
    @classmethod
    def _on(cls, value: Any) -> str:
        name = known(value)
        if name in OUTCOMES:
            raise ValueError(
                f"{name} is the outcome of a call: write a possible cause, such as prompt_version"
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
            raise ValueError(f"{value} is not a valid alpha: write one above 0% and up to 50%, such as 1%")
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
            why = f"by contains {self.on}, so its values cannot be compared: leave it out of by"
            raise Mistakes({("by", self.by.index(self.on)): why})
        if self.canary is not None and self.canary == self.control:
            raise Mistakes({"control": "canary and control are the same: name two values, or none"})
        wanted = dict(self.where).get(self.on)
        for name in ("canary", "control"):
            value = getattr(self, name)
            if value is None:
                continue
            if meant(value):
                raise Mistakes({name: f"{value!r} is compared as it is, not as a pattern: write one value"})
            if wanted is not None and not wanted.accepts(value):
                raise Mistakes({name: f"where excludes {value!r}: there would be nothing to compare"})
        return self

    @property
    def arm(self) -> str:
        """The dimension whose values are compared with each other."""
        return self.on

    @property
    def metric(self) -> str:
        """How many times worse the first metric is."""
        return "times_worse"

    @property
    def unit(self) -> Unit:
        """A ratio."""
        return "count"

    @property
    def window_text(self) -> str:
        """It reads each minute since the canary began."""
        return "1m"

    @property
    def _hypotheses(self) -> Hypotheses:
        return Hypotheses(self.metrics, self.effect, self.alpha / self.series)

    def power(self, traffic: Traffic) -> Sequence[Power]:
        """The smallest worsening of its first metric that it would find."""
        return power(self._hypotheses, traffic)

    def detector(self, pane: int, key: tuple[str, ...]) -> CanaryDetector:
        """It is the same for each series."""
        del key
        return CanaryDetector(self, pane, self._hypotheses)


def _metric(name: Any) -> str:
    if isinstance(name, str) and (name in METRICS or re.fullmatch(_SCORE, name)):
        return name
    hint = suggestion(str(name), [*METRICS, "score.NAME"])
    raise ValueError(f"{name!r} is not compared{hint}")
