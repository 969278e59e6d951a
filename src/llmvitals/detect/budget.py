# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""A sum of money, tokens or calls that may be spent in a period."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmvitals.detect.amount import NANO, basis_points, dollars_nano, whole
from llmvitals.detect.scope import Scope, suggestion
from llmvitals.detect.spending import Calendar, Ladder, Rolling
from llmvitals.detect.trailing import Trailing, bucket_length
from llmvitals.record.view import COUNTLESS
from llmvitals.window import DAY, PERIODS, SECOND, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SPENT: Final[dict[str, tuple[str, ...]]] = {
    "cost": ("cost_nano",),
    "tokens": ("input_tokens", "output_tokens"),
    "calls": ("calls",),
}
"""Metric → the totals of vitals that are spent."""
UNITS: Final[dict[str, Unit]] = {"cost": "usd", "tokens": "tokens", "calls": "count"}
STEPS: Final = (5_000, 8_000, 9_500, 10_000)
"""Default thresholds, in hundredths of a per cent."""
FINE: Final = 288
"""Buckets of a rolling budget at most: 24h is made of 5-minute ones."""


class Budget(Scope):
    """`budget:` of a rule.

    limit, overrides: nano-dollars, tokens or calls. per: a calendar period in `timezone`, or rolling: µs.
    thresholds: hundredths of a per cent, ascending.
    """

    kind: ClassVar[str] = "budget"
    eager: ClassVar[bool] = True
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ("burn_rate", "forecast")
    summary: ClassVar[str] = "{value} of {limit} per {window} is used ({percent}): {series}"

    metric: str = "cost"
    limit: int
    per: str | None = None
    rolling: int | None = None
    timezone: str = "UTC"
    overrides: dict[str, int] = Field(default_factory=dict)
    thresholds: tuple[int, ...] = STEPS

    @field_validator("metric", mode="before")
    @classmethod
    def _metric(cls, value: Any) -> str:
        if value not in SPENT:
            raise ValueError(f"{value!r} can't be budgeted{suggestion(str(value), SPENT)}")
        return str(value)

    @field_validator("limit", mode="before")
    @classmethod
    def _limit(cls, value: Any, info: ValidationInfo) -> int:
        return _amount(value, info.data.get("metric", ""))

    @field_validator("overrides", mode="before")
    @classmethod
    def _overrides(cls, value: Any, info: ValidationInfo) -> dict[str, int]:
        if not isinstance(value, dict):
            raise ValueError("write key: limit, such as {search: 2000}")
        return {key: _amount(limit, info.data.get("metric", "")) for key, limit in value.items()}

    @field_validator("per", mode="before")
    @classmethod
    def _per(cls, value: Any) -> str:
        if value == "session":
            raise ValueError("per: session comes later: write by: [session] and rolling: 1h")
        if value not in PERIODS:
            raise ValueError(f"{value!r} is no period{suggestion(str(value), PERIODS)}, or rolling: 24h")
        return str(value)

    @field_validator("rolling", mode="before")
    @classmethod
    def _rolling(cls, value: Any, info: ValidationInfo) -> int:
        length = duration(value)
        if length > 31 * DAY:
            raise ValueError(f"{value} is too long: at most 31d, or use per: year")
        bucket_length(length, info.context["pane"] if info.context else SECOND, FINE)
        return length

    @field_validator("timezone", mode="before")
    @classmethod
    def _timezone(cls, value: Any) -> str:
        if value not in available_timezones():
            near = suggestion(str(value), available_timezones())
            hint = near if "did you mean" in near else ": write one such as Europe/Berlin"
            raise ValueError(f"{value!r} is no time zone{hint}")
        return str(value)

    @field_validator("thresholds", mode="before")
    @classmethod
    def _thresholds(cls, value: Any) -> tuple[int, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("write a list of shares, such as [50%, 80%, 100%]")
        steps = [basis_points(step) for step in value]
        if steps != sorted(set(steps)) or steps[0] <= 0:
            raise ValueError("write them in ascending order, each once, above 0%")
        return tuple(steps)

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        if (self.per is None) == (self.rolling is None):
            raise ValueError(f"write one of per ({', '.join(PERIODS)}) and rolling (24h)")
        if self.rolling is not None and "timezone" in self.model_fields_set:
            raise ValueError("a rolling budget has no time zone: leave timezone out")
        if self.overrides and not self.by:
            raise ValueError("overrides need by: without it there is one budget only")
        return self

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return UNITS[self.metric]

    @property
    def window_text(self) -> str:
        """The period as one writes it."""
        return self.per or duration_text(self.rolling or 0)

    @property
    def shown(self) -> bool:
        """Whether the dimensions are few enough to be tags."""
        return not COUNTLESS.intersection(self.by)

    def detector(self, pane: int, key: tuple[str, ...]) -> Calendar | Rolling:
        """The logic for one series, whose values of `by` are key; pane in µs."""
        ladder = Ladder(
            totals=SPENT[self.metric],
            limit=self.overrides.get("/".join(key), self.limit),
            scale=NANO if self.metric == "cost" else 1,
            steps=self.thresholds,
            shown=self.shown,
        )
        if self.rolling is not None:
            length = bucket_length(self.rolling, pane, FINE)
            return Rolling(ladder, pane, Trailing(length // pane, self.rolling // length))
        return Calendar(ladder, pane, self.per or "", _zone(self.timezone))


def _amount(value: Any, metric: str) -> int:
    amount = dollars_nano(value) if metric == "cost" else whole(value)
    if amount <= 0:
        raise ValueError(f"{value} leaves nothing to spend: write a limit above 0")
    return amount


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
