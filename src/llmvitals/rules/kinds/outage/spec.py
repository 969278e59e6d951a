"""The fields of `outage:` in a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from llmvitals.errors import Mistakes
from llmvitals.metrics.amount import limit
from llmvitals.metrics.registry import METRICS
from llmvitals.record.reading import Reading
from llmvitals.record.view import UNKNOWN, Condition
from llmvitals.rules.condition.dimensions import By, Wanted, condition
from llmvitals.rules.condition.fields import CHANCE, PART, MinCalls, Window
from llmvitals.rules.condition.kind import Kind, RequiredData
from llmvitals.rules.condition.screening import SLACK, Screen
from llmvitals.rules.condition.trailing import Statistic
from llmvitals.window import duration_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmvitals.record.alert import Unit
    from llmvitals.record.reading import NoData
    from llmvitals.rules.condition.screening import Windows

MINOR: Final = "minor"
MAJOR: Final = "major"
SHARE: Final = METRICS["error_share"]
SURE: Final = 0.01
"""Fewer calls than min_calls resolve it if a minor outage has so few failures with less than this chance."""
_OUTCOMES: Final = ("error_type", "status")
"""Dimensions that are the outcome of a call."""


class Outage(Kind):
    """A provider that fails: minor and major.

    It is one alert with two levels; at "major" it is critical, whatever its labels are. minor, major: the
    shares of failed calls at which they begin. resolve_below: where the alert resolves, by default half of
    minor; until then a major outage stays major. min_calls: of the window. errors: the error_types that are
    the provider's fault; calls with another type, and calls that failed without a type, are left out.

    `no_data` is keep by default: clients stop calling a provider that is down, so few calls do not mean that
    it has recovered.
    """

    kind: ClassVar[str] = "outage"
    lasting: ClassVar[bool] = True
    no_data: ClassVar[NoData] = "keep"
    critical_levels: ClassVar[frozenset[str]] = frozenset((MAJOR,))
    summary: ClassVar[str] = "{value} of the calls within {window} failed ({level} outage): {series}"

    by: By = ("provider",)
    window: Window = Field("1m", validate_default=True)
    minor: Annotated[float, WithJsonSchema(CHANCE)] = Field(
        "20%",
        validate_default=True,
        description="The share of failed calls that makes an outage.",
    )
    major: Annotated[float, WithJsonSchema(PART)] = Field(
        "60%", validate_default=True, description="The share that makes a major outage, which is critical."
    )
    resolve_below: Annotated[float | None, WithJsonSchema(CHANCE)] = Field(
        None, description="It resolves below this; default: half of minor."
    )
    min_calls: MinCalls = Field(10, description="With fewer calls in the window it does not fire.")
    errors: Condition | None = Field(
        None, description="The error_types that are the provider's fault; default: any."
    )

    @field_validator("minor", "major", "resolve_below", mode="before")
    @classmethod
    def _share(cls, value: Any) -> float:
        share = limit(value, "share")
        if not share:
            raise ValueError("0% is always reached: write a greater share, such as 20%")
        return share

    @field_validator("errors", mode="before", json_schema_input_type=Wanted)
    @classmethod
    def _errors(cls, value: Any) -> Condition:
        wanted = condition("errors", value)
        # Successful calls have no error_type, and have to be included.
        if wanted.accepts(UNKNOWN):
            return wanted
        if wanted.negate:
            raise ValueError(f"this excludes {UNKNOWN}, and so successful calls: name the errors")
        regex = None if wanted.regex is None else f"(?:{wanted.regex})|{UNKNOWN}"
        return Condition(wanted.values | {UNKNOWN} if wanted.values else frozenset(), regex)

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [{"properties": {"where": {"propertyNames": {"not": {"enum": list(_OUTCOMES)}}}}}]
        }
    )

    @model_validator(mode="after")
    def _whole(self) -> Outage:
        for name, _ in self.where:
            if name in _OUTCOMES:
                why = f"{name} in where would exclude successful calls: write errors: [Timeout, …]"
                raise Mistakes({("where", name): why})
        if self.minor >= self.major:
            name = "major" if "major" in self.model_fields_set else "minor"
            raise Mistakes({name: "minor has to be below major: write for example minor: 20%, major: 60%"})
        if self.resolve_below is not None and self.resolve_below > self.minor:
            raise Mistakes({"resolve_below": "resolve_below is above minor: write a lower share"})
        if self.errors is not None:
            where = tuple(sorted((*self.where, ("error_type", self.errors)), key=lambda pair: pair[0]))
            object.__setattr__(self, "where", where)
        return self

    @property
    def metric(self) -> str:
        """The share of failed calls."""
        return "error_share"

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return SHARE.unit

    @property
    def window_text(self) -> str:
        """The window, as rules write it."""
        return duration_text(self.window)

    def detector(self, pane: int, key: tuple[str, ...]) -> Statistic:
        """The share of failed calls over the window."""
        del key
        return Statistic.of(self, SHARE, pane, few=self.min_calls, over=self._over)

    def _over(self, calls: int, share: float) -> bool:
        """Whether so few failures among calls fewer than min_calls are improbable while it goes on.

        So few calls may be all that come for days, and the alert would last as long.
        """
        if share > self._release:
            return False
        chance, term = 0.0, (1 - self.minor) ** calls
        for failed in range(round(share * calls) + 1):
            chance += term
            term *= (calls - failed) / (failed + 1) * self.minor / (1 - self.minor)
        return chance < SURE

    @property
    def _release(self) -> float:
        return self.minor / 2 if self.resolve_below is None else self.resolve_below

    def reading(self, at: int, value: float) -> Reading:
        """The reading for a share of failed calls at a time (µs)."""
        if value >= self.major:
            return Reading(at, "breach", value, self.major, MAJOR)
        if value >= self.minor:
            return Reading(at, "breach", value, self.minor, MINOR)
        return Reading(at, "clear" if value <= self._release else "hold", value, self.minor)

    @property
    def required_data(self) -> RequiredData:
        """What the share is computed from."""
        return RequiredData.of(SHARE)

    @property
    def screen(self) -> Screen:
        """Windows whose share may reach minor."""
        return Screen(self.window, self._may_fire)

    def _may_fire(self, windows: Windows) -> NDArray[np.bool_]:
        calls, errors = windows.totals("calls"), windows.totals("errors")
        may_fire: NDArray[np.bool_] = (calls >= self.min_calls) & (errors >= calls * self.minor * (1 - SLACK))
        return may_fire
