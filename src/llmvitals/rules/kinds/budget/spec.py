"""The fields of `budget:` in a rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import ConfigDict, Field, model_validator

from llmvitals.errors import Mistakes
from llmvitals.metrics.amount import BASIS
from llmvitals.metrics.columns import BUDGET
from llmvitals.record.reading import Reading, Stand
from llmvitals.record.view import COUNTLESS, UNKNOWN
from llmvitals.rules.condition.fields import Zone
from llmvitals.rules.condition.kind import Kind, Late, RequiredData
from llmvitals.rules.condition.trailing import Trailing, bucket_length
from llmvitals.rules.kinds.budget import fields
from llmvitals.rules.kinds.budget.burn_rate import BurnRate
from llmvitals.rules.kinds.budget.burn_windows import HOURLY, LENGTHS, scaled, window_pairs
from llmvitals.rules.kinds.budget.calendar import Calendar
from llmvitals.rules.kinds.budget.detector import BudgetDetector, Spending
from llmvitals.rules.kinds.budget.fields import EVERY_PERIOD, FINE, SESSION, SPENT, UNITS
from llmvitals.rules.kinds.budget.forecast import Forecast
from llmvitals.rules.kinds.budget.overrides import dead_overrides, doubtful_overrides
from llmvitals.rules.kinds.budget.rolling import Rolling
from llmvitals.rules.kinds.budget.session import SessionBudget
from llmvitals.rules.kinds.budget.thresholds import Thresholds
from llmvitals.window import DAY, HOUR, MINUTE, PERIODS, duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.errors import Spot
    from llmvitals.record.alert import Bound, Unit

IDLE: Final = 30 * MINUTE
"""Default of idle: a session is over after this time without calls, µs."""
MOST: Final = 10 * BASIS
"""A threshold above this share (1/10,000) is most likely a mistake."""
WARN: Final = 8_000
"""A budget with a verdict warns from its first threshold at or above this share (1/10,000)."""


class Budget(Kind):
    """A limit on the cost, tokens or calls of a period.

    limit, overrides, floor: nano-dollars, tokens or calls. per: a calendar period in `timezone`, or a
    session, which ends after idle (µs) without calls. rolling: a trailing window, µs. burn_rate: pairs of
    windows; floor: the least spend in the long window. forecast: the chance of overspending at which it
    fires. verdict: what gateways do; they block from block_at on. Shares and chances are in 1/10,000.
    """

    kind: ClassVar[str] = "budget"
    eager: ClassVar[bool] = True
    bound: ClassVar[Bound] = "budget"
    measurement: ClassVar[str] = BUDGET
    summary: ClassVar[str] = "{value} of {limit} per {window} is used ({percent}): {series}{unpriced}"
    facets: ClassVar[dict[str, str]] = {
        "burn": "{limit} per {window} is spent at {level} the even rate: {series}{unpriced}",
        "forecast": "The forecast exceeds {limit} per {window}: {series}{unpriced}",
    }

    metric: fields.Metric = Field("cost", description="What is limited: cost, tokens or calls.")
    limit: fields.Amount = Field(description="The limit: dollars, tokens or calls.")
    per: fields.Period = Field(None, description="The calendar period, in `timezone`; or session.")
    rolling: fields.Rolling = Field(
        None, description="In place of `per`: a trailing window, such as 24h; at most 31d."
    )
    idle: fields.Idle = Field(
        None,
        description="With per: session: the time without calls after which a session is over.",
        json_schema_extra={"default": "30m"},
    )
    timezone: Zone = Field("UTC", validate_default=True, description="The time zone of the period.")
    overrides: fields.Overrides = Field(
        default_factory=dict, description="Another limit for one value of `by`: {search: 2000}."
    )
    thresholds: fields.Steps = Field(
        ["50%", "80%", "95%", "100%"],
        validate_default=True,
        description="Shares of the limit at which it fires, ascending; each fires once a period.",
    )
    burn_rate: fields.BurnRate = Field(
        "off",
        validate_default=True,
        description="Fire when the spend is too fast for the period: default, off, or pairs of windows.",
    )
    floor: fields.Floor = Field(None, description="The least spend in the long window for burn_rate to fire.")
    forecast: fields.Chance = Field(
        "off", validate_default=True, description="Fire when the chance of overspending reaches this."
    )
    verdict: fields.Steering = Field(None, description="What gateways do when the budget is exhausted.")
    block_at: fields.Step = Field(
        None,
        description="With verdict: block: the threshold from which on calls are blocked.",
        json_schema_extra={"default": "100%"},
    )

    @model_validator(mode="before")
    @classmethod
    def _session(cls, data: Any) -> Any:
        """Group a budget per session by session, and exclude calls without one."""
        if not isinstance(data, dict) or data.get("per") != SESSION:
            return data
        where = data.get("where", {})
        if isinstance(where, dict):
            where = {SESSION: {"not": UNKNOWN}, **where}
        return {"by": [SESSION], **data, "where": where}

    model_config = ConfigDict(json_schema_extra=fields.CONDITIONS)

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        written = self.model_fields_set
        if (self.per is None) == (self.rolling is None):
            raise ValueError(f"write one of per ({', '.join(EVERY_PERIOD)}) and rolling (24h)")
        if self.per not in PERIODS and "timezone" in written:
            raise Mistakes({"timezone": f"a {self._what} budget has no time zone: leave timezone out"})
        if self.overrides and not self.by:
            raise Mistakes({"overrides": "overrides need by: without it there is one budget only"})
        if dead := dead_overrides(self.overrides, self.by, self.where):
            raise Mistakes(dead, key=True)
        if self.per == SESSION and SESSION not in self.by:
            raise Mistakes({"by": "a budget per session is by session: add session to by, or leave by out"})
        if self.per != SESSION and "idle" in written:
            raise Mistakes({"idle": "idle is for per: session: leave it out"})
        self._check_rate()
        self._check_verdict()
        return self

    @property
    def warnings(self) -> Mapping[Spot, str]:
        """Overrides that match only a value with a slash; limits that are hardly ever reached."""
        found = doubtful_overrides(self.overrides, self.by)
        if self.floor is not None and self.floor >= self.limit:
            found["floor"] = "the budget is exhausted before so much is spent: write less than limit"
        for number, step in enumerate(self.thresholds):
            if step > MOST:
                found["thresholds", number] = (
                    f"this is {step / BASIS:g} times the limit: write less, such as 120%"
                )
        return found

    def _check_rate(self) -> None:
        """burn_rate, floor and forecast against the period."""
        length = self._length
        if self.burn_rate is not None and length < DAY:
            why = f"{self._what} is too short for it, and the thresholds fire in time: leave it out"
            raise Mistakes({"burn_rate": f"burn_rate: {why}"})
        if isinstance(self.burn_rate, tuple) and max(pair.long for pair in self.burn_rate) > length:
            why = f"burn_rate: a window is longer than the {self._what}: write a shorter one"
            raise Mistakes({"burn_rate": why})
        if self.floor is not None and self.burn_rate is None:
            why = "floor is for burn_rate: add burn_rate: default, or leave floor out"
            raise Mistakes({"floor": why})
        if self.forecast is not None and (self.per is None or length < DAY):
            why = "forecast needs a period with an end: write per: day or longer, or leave it out"
            raise Mistakes({"forecast": why})

    def _check_verdict(self) -> None:
        if self.block_at is not None and self.verdict != "block":
            why = "block_at is for verdict: block: add that, or leave block_at out"
            raise Mistakes({"block_at": why})
        if self.verdict == "block" and (self.block_at or BASIS) not in self.thresholds:
            at = f"{(self.block_at or BASIS) / 100:g}%"
            field = "verdict" if self.block_at is None else "block_at"
            why = f"verdict: blocks at {at}, which is no threshold: add {at} to thresholds"
            raise Mistakes({field: why})
        if self.verdict == "warn" and self.thresholds[-1] < WARN:
            why = f"warns from {WARN / 100:g}% on, and no threshold is so high: add one to thresholds"
            raise Mistakes({"verdict": f"verdict: {why}"})

    @property
    def _what(self) -> str:
        return self.per or "rolling"

    @property
    def _length(self) -> int:
        """The length of a period (µs) for an even spend; 0 where a period has none."""
        if self.rolling is not None:
            return self.rolling
        return HOUR if self.per == "hour" else LENGTHS.get(self.per or "", 0)

    @property
    def unit(self) -> Unit:
        """The metric's unit."""
        return UNITS[self.metric]

    @property
    def window_text(self) -> str:
        """The period, as rules write it."""
        return self.per or duration_text(self.rolling or 0)

    @property
    def shown(self) -> bool:
        """Whether it has points: only with dimensions of few values, which can be tags."""
        return not COUNTLESS.intersection(self.by)

    @property
    def steers(self) -> bool:
        """Whether it has a verdict."""
        return self.verdict is not None

    def detector(self, pane: int, key: tuple[str, ...]) -> BudgetDetector:
        """The budget of one value of `by`, which may have a limit of its own."""
        warn = next((step for step in self.thresholds if step >= WARN), 0)
        thresholds = Thresholds(
            totals=SPENT[self.metric],
            limit=self.overrides.get("/".join(key), self.limit),
            unit=self.unit,
            steps=self.thresholds,
            shown=self.shown,
            warn=warn if self.verdict else 0,
            block=(self.block_at or BASIS) if self.verdict == "block" else 0,
        )
        burn = forecast = None
        if self.burn_rate is not None:
            pairs = scaled(self._length) if self.burn_rate == "default" else self.burn_rate
            burn = BurnRate(
                thresholds=thresholds,
                window_pairs=window_pairs(pairs, pane),
                hour=window_pairs((HOURLY,), pane)[0],
                pane=pane,
                period=self._length,
                floor=thresholds.limit // 100 if self.floor is None else self.floor,
                zone=self.timezone,
            )
        if self.forecast is not None:
            forecast = Forecast(thresholds, self.forecast, self.timezone)
        return BudgetDetector(self._spending(thresholds, pane), pane, burn, forecast)

    def variant(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The values with a limit of their own."""
        return key if "/".join(key) in self.overrides else ()

    def _spending(self, thresholds: Thresholds, pane: int) -> Spending:
        if self.rolling is not None:
            length = bucket_length(self.rolling, pane, FINE)
            return Rolling(thresholds, pane, Trailing(length // pane, self.rolling // length))
        if self.per == SESSION:
            return SessionBudget(thresholds, pane, self.idle or IDLE)
        return Calendar(thresholds, pane, self.per or "", self.timezone)

    def stands(self, reading: Reading) -> Sequence[Stand]:
        """The balance at the end of a minute, or at a threshold."""
        if not self.shown or reading.facet or reading.verdict not in ("breach", "hold"):
            return ()
        spent, limit = reading.value, reading.limit
        counts: dict[str, int] = {}
        measures = {"share": spent / limit, **(reading.beside or {})}
        if self.unit == "usd":
            # Both are whole nano-dollars, but their difference as a float may not be.
            over = max(0.0, round(spent - limit, 9))
            measures |= {"spent_usd": spent, "limit_usd": limit, "overshoot_usd": over}
        else:
            counts = {f"spent_{self.metric}": int(spent), f"limit_{self.metric}": int(limit)}
        return (Stand(reading.at, measures, counts),)

    @property
    def late(self) -> Late:
        """Late calls cost money in the period of their own time."""
        return "apart"

    @property
    def required_data(self) -> RequiredData:
        """The sums that are spent, and the calls without a price."""
        return RequiredData(tuple(dict.fromkeys(("calls", "unpriced_calls", *SPENT[self.metric]))))

    def grain(self, pane: int) -> int:
        """The panes within which no period and no bucket of a window ends.

        Sums only grow within them, so a limit that is not passed at their end was not passed before.
        """
        if self.rolling is not None:
            panes = bucket_length(self.rolling, pane, FINE) // pane
        else:
            # The offsets of time zones are multiples of a quarter of an hour.
            panes = 15 * MINUTE // pane if self.per in PERIODS else 1
        burn = self.detector(pane, ()).burn
        if burn is None:
            return panes
        # A burn rate fires only while the budget is not exhausted, which a threshold of 100 % shows.
        every = (*burn.window_pairs, burn.hour)
        return math.gcd(panes, *(gauge.panes for gauge in every)) if BASIS in self.thresholds else 1
