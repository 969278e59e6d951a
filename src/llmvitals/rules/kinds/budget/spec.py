# ruff: noqa: TRY004  # pydantic tells a ValueError to the user, and passes a TypeError on
"""A sum of money, tokens or calls that may be spent in a period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmvitals.errors import checked
from llmvitals.metrics.amount import BASIS, basis_points, dollars_nano, whole
from llmvitals.record.view import COUNTLESS, UNKNOWN
from llmvitals.record.zone import zone
from llmvitals.rules.condition.scope import Scope, suggestion
from llmvitals.rules.condition.trailing import Trailing, bucket_length
from llmvitals.rules.kinds.budget.burn_rate import Burn
from llmvitals.rules.kinds.budget.burn_windows import HOURLY, LENGTHS, Pair, gauges, read_pairs, scaled
from llmvitals.rules.kinds.budget.calendar import Calendar
from llmvitals.rules.kinds.budget.detector import Account, Spending
from llmvitals.rules.kinds.budget.forecast import Forecast
from llmvitals.rules.kinds.budget.rolling import Rolling
from llmvitals.rules.kinds.budget.session import Idle
from llmvitals.rules.kinds.budget.thresholds import Ladder
from llmvitals.window import DAY, HOUR, MINUTE, PERIODS, SECOND, duration, duration_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

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


SESSION: Final = "session"
IDLE: Final = 30 * MINUTE
"""A session is over when it has been silent for so long."""
WARN: Final = 8_000
"""A budget that steers gateways warns from its first threshold on that is not below this."""


class Budget(Scope):
    """`budget:` of a rule.

    limit, overrides, floor: nano-dollars, tokens or calls. per: a calendar period in `timezone`, or that of
    a session, which ends when it is silent for idle (µs); or rolling: µs. burn_rate: pairs of windows; floor:
    what has to be spent in the long one at least. forecast: the chance to overrun from which on it is told.
    verdict: what gateways shall do, block from block_at on. Shares and chances are in 1/10,000.
    """

    kind: ClassVar[str] = "budget"
    eager: ClassVar[bool] = True
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str] = "{value} of {limit} per {window} is used ({percent}): {series}"
    facets: ClassVar[dict[str, str]] = {
        "burn": "{limit} per {window} burns at {level} an even spend: {series}",
        "forecast": "More than {limit} per {window} is likely to be spent: {series}",
    }

    metric: str = "cost"
    limit: int
    per: str | None = None
    rolling: int | None = None
    idle: int | None = None
    timezone: str = "UTC"
    overrides: dict[str, int] = Field(default_factory=dict)
    thresholds: tuple[int, ...] = STEPS
    burn_rate: tuple[Pair, ...] | Literal["default"] | None = None
    floor: int | None = None
    forecast: int | None = None
    verdict: Literal["warn", "block"] | None = None
    block_at: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _session(cls, data: Any) -> Any:
        """A session's budget is of sessions, and not of the calls that have none."""
        if not isinstance(data, dict) or data.get("per") != SESSION:
            return data
        where = data.get("where", {})
        if isinstance(where, dict):
            where = {SESSION: {"not": UNKNOWN}, **where}
        return {"by": [SESSION], **data, "where": where}

    @field_validator("metric", mode="before")
    @classmethod
    def _metric(cls, value: Any) -> str:
        if value not in tuple(SPENT):
            raise ValueError(f"{value!r} can't be budgeted{suggestion(str(value), SPENT)}")
        return str(value)

    @field_validator("limit", "floor", mode="before")
    @classmethod
    def _limit(cls, value: Any, info: ValidationInfo) -> int:
        return _amount(value, info.data.get("metric", ""))

    @field_validator("overrides", mode="before")
    @classmethod
    def _overrides(cls, value: Any, info: ValidationInfo) -> dict[str, int]:
        if not isinstance(value, dict):
            raise ValueError("write key: limit, such as {search: 2000}")
        return checked(value.items(), lambda _, limit: _amount(limit, info.data.get("metric", "")))

    @field_validator("per", mode="before")
    @classmethod
    def _per(cls, value: Any) -> str:
        if value not in (*PERIODS, SESSION):
            names = (*PERIODS, SESSION)
            raise ValueError(f"{value!r} is no period{suggestion(str(value), names)}, or rolling: 24h")
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
        zone(value)
        return str(value)

    @field_validator("thresholds", mode="before")
    @classmethod
    def _thresholds(cls, value: Any) -> tuple[int, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("write a list of shares, such as [50%, 80%, 100%]")
        steps = list(checked(enumerate(value), lambda _, step: basis_points(step)).values())
        if steps != sorted(set(steps)) or steps[0] <= 0:
            raise ValueError("write them in ascending order, each once, above 0%")
        return tuple(steps)

    @field_validator("idle", mode="before")
    @classmethod
    def _idle(cls, value: Any, info: ValidationInfo) -> int:
        length, pane = duration(value), info.context["pane"] if info.context else SECOND
        if not pane <= length <= DAY or length % pane:
            raise ValueError(f"{value} is no multiple of a pane ({duration_text(pane)}) up to 24h: write 30m")
        return length

    @field_validator("burn_rate", mode="before")
    @classmethod
    def _burn_rate(cls, value: Any, info: ValidationInfo) -> tuple[Pair, ...] | str | None:
        if value is False or value == "off":
            return None
        if value == "default":
            return "default"
        return read_pairs(value, info.context["pane"] if info.context else SECOND)

    @field_validator("forecast", "block_at", mode="before")
    @classmethod
    def _share(cls, value: Any, info: ValidationInfo) -> int | None:
        if info.field_name == "block_at":
            return basis_points(value)
        if value is False or value == "off":
            return None
        points = basis_points(value)
        if not 0 < points < BASIS:
            raise ValueError(f"{value} is no chance to wait for: write one below 100%, such as 80%")
        return points

    @field_validator("verdict", mode="before")
    @classmethod
    def _verdict(cls, value: Any) -> str:
        if value not in ("warn", "block"):
            raise ValueError(f"{value!r} is nothing that a gateway can do: write warn or block")
        return str(value)

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        written = self.model_fields_set
        if (self.per is None) == (self.rolling is None):
            raise ValueError(f"write one of per ({', '.join((*PERIODS, SESSION))}) and rolling (24h)")
        if self.per not in PERIODS and "timezone" in written:
            raise ValueError(f"a {self._what} budget has no time zone: leave timezone out")
        if self.overrides and not self.by:
            raise ValueError("overrides need by: without it there is one budget only")
        if self.per == SESSION and SESSION not in self.by:
            raise ValueError("a budget per session is by session: add session to by, or leave by out")
        if self.per != SESSION and "idle" in written:
            raise ValueError("idle is for per: session: leave it out")
        self._check_rate()
        self._check_verdict()
        return self

    def _check_rate(self) -> None:
        """burn_rate, floor and forecast against the period."""
        length = self._length
        if self.burn_rate is not None and length < DAY:
            raise ValueError(
                f"burn_rate: {self._what} is too short for it: its thresholds speak in time: leave it out"
            )
        if isinstance(self.burn_rate, tuple) and max(pair.long for pair in self.burn_rate) > length:
            raise ValueError(f"burn_rate: a window is longer than the {self._what}: write a shorter one")
        if self.floor is not None and self.burn_rate is None:
            raise ValueError("floor is for burn_rate: add burn_rate: default, or leave floor out")
        if self.forecast is not None and (self.per is None or length < DAY):
            raise ValueError("forecast needs a period with an end: write per: day or longer, or leave it out")

    def _check_verdict(self) -> None:
        if self.block_at is not None and self.verdict != "block":
            raise ValueError("block_at is for verdict: block: add that, or leave block_at out")
        if self.verdict == "block" and (self.block_at or BASIS) not in self.thresholds:
            at = f"{(self.block_at or BASIS) / 100:g}%"
            raise ValueError(f"verdict: blocks at {at}, which is no threshold: add {at} to thresholds")
        if self.verdict == "warn" and self.thresholds[-1] < WARN:
            raise ValueError(
                f"verdict: warns from {WARN / 100:g}% on, and no threshold is so high: add one to thresholds"
            )

    @property
    def _what(self) -> str:
        return self.per or "rolling"

    @property
    def _length(self) -> int:
        """µs of a period as an even spend is reckoned; 0 where there is none."""
        if self.rolling is not None:
            return self.rolling
        return HOUR if self.per == "hour" else LENGTHS.get(self.per or "", 0)

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

    def detector(self, pane: int, key: tuple[str, ...]) -> Account:
        """The logic for one series, whose values of `by` are key; pane in µs."""
        warn = next((step for step in self.thresholds if step >= WARN), 0)
        ladder = Ladder(
            totals=SPENT[self.metric],
            limit=self.overrides.get("/".join(key), self.limit),
            unit=self.unit,
            steps=self.thresholds,
            shown=self.shown,
            warn=warn if self.verdict else 0,
            block=(self.block_at or BASIS) if self.verdict == "block" else 0,
        )
        clock = zone(self.timezone)
        burn = forecast = None
        if self.burn_rate is not None:
            pairs = scaled(self._length) if self.burn_rate == "default" else self.burn_rate
            burn = Burn(
                ladder=ladder,
                gauges=gauges(pairs, pane),
                hour=gauges((HOURLY,), pane)[0],
                pane=pane,
                period=self._length,
                floor=ladder.limit // 100 if self.floor is None else self.floor,
                zone=clock,
            )
        if self.forecast is not None:
            forecast = Forecast(ladder, pane, self.forecast, clock)
        return Account(self._spending(ladder, pane, clock), burn, forecast)

    def _spending(self, ladder: Ladder, pane: int, clock: ZoneInfo) -> Spending:
        if self.rolling is not None:
            length = bucket_length(self.rolling, pane, FINE)
            return Rolling(ladder, pane, Trailing(length // pane, self.rolling // length))
        if self.per == SESSION:
            return Idle(ladder, pane, self.idle or IDLE)
        return Calendar(ladder, pane, self.per or "", clock)


def _amount(value: Any, metric: str) -> int:
    amount = dollars_nano(value) if metric == "cost" else whole(value)
    if amount <= 0:
        raise ValueError(f"{value} leaves nothing to spend: write a limit above 0")
    return amount
