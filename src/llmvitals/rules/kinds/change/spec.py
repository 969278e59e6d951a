# pydantic shows a ValueError to the user, and raises a TypeError further
"""The fields of `change:` in a rule."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from llmvitals.metrics.registry import metric_of
from llmvitals.rules.condition.dimensions import listed
from llmvitals.rules.condition.false_alarms import FalseAlarms, Series, run_length
from llmvitals.rules.condition.fields import DURATION, SCORE_MEAN, MinCalls, Schema
from llmvitals.rules.condition.kind import Kind, Late, RequiredData
from llmvitals.rules.kinds.change.change_points import Search
from llmvitals.rules.kinds.change.detector import ChangeDetector
from llmvitals.rules.kinds.change.minutes import ALL, CHANGING, Minutes, changing
from llmvitals.window import DAY, MINUTE, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SCORED: Final = 4
"""The assumed number of scores of a rule without metrics, for its rate of false alarms."""
_METRIC: Final[Schema] = {"type": "string", "anyOf": [{"enum": list(CHANGING)}, {"pattern": SCORE_MEAN}]}
_METRICS: Final[Schema] = {
    "anyOf": [
        {"const": "all"},
        _METRIC,
        {"type": "array", "items": _METRIC, "minItems": 1, "maxItems": 50, "uniqueItems": True},
    ]
}


def _hold(value: Any) -> int:
    length = duration(value)
    if not 10 * MINUTE <= length <= DAY:
        raise ValueError(f"{value} does not fit: write 10m to 24h")
    return length


class Change(Kind):
    """Sudden changes of any metric, all of them in one alert.

    It fires while any metric of the series has changed within `hold` (µs). metrics: () for all shares, means
    and percentiles of a minute, and every score. min_calls: the calls of a metric that a minute
    needs, or minutes together.
    false_alarms: in a month, of all series and metrics together; the rate is a heuristic (docs/change.md). It
    needs half an hour with calls. Its severity is info unless the rule's labels set another one.
    """

    kind: ClassVar[str] = "change"
    by_minute: ClassVar[bool] = True
    severity: ClassVar[str] = "info"
    summary: ClassVar[str] = "Changed: {note} ({series})"

    metrics: Annotated[tuple[str, ...], Field(max_length=50), WithJsonSchema(_METRICS)] = Field(
        "all",
        validate_default=True,
        description="Shares, means and percentiles to search; see docs/change.md.",
    )
    min_calls: MinCalls = Field(10, description="The least calls of a minute; minutes with fewer are joined.")
    false_alarms: FalseAlarms = Field(
        1, description="The most false alarms in a month, in all its series and metrics together."
    )
    series: Series = 100
    hold: Annotated[int, BeforeValidator(_hold), WithJsonSchema(DURATION)] = Field(
        "1h", validate_default=True, description="How long a change is shown; 10m to 24h."
    )

    @field_validator("by", mode="after")
    @classmethod
    def _lasting(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "session" in value:
            raise ValueError("sessions are too short to compare: write another dimension, such as [app]")
        return value

    @field_validator("metrics", mode="before")
    @classmethod
    def _metrics(cls, value: Any) -> tuple[str, ...]:
        if value in ("all", ["all"]):
            return ()
        cure = "write a list of metrics, such as [error_share, latency_p95], or leave it out"
        return listed(value, changing, "metric", cure)

    @property
    def metric(self) -> str:
        """The number of changed metrics."""
        return "changes"

    @property
    def unit(self) -> Unit:
        """A count."""
        return "count"

    @property
    def window_text(self) -> str:
        """How long a change is shown, as rules write it."""
        return duration_text(self.hold)

    def detector(self, pane: int, key: tuple[str, ...]) -> ChangeDetector:
        """It is the same for each series."""
        del key
        return _detector(self.metrics, self.min_calls, self.hold, pane, over=(self.false_alarms, self.series))

    @property
    def late(self) -> Late:
        """Late calls count only if one of the metrics is about them."""
        return "counted" if any(metric_of(name).counts_late for name in self.metrics) else "ignored"

    @property
    def required_data(self) -> RequiredData | None:
        """All sums and the metrics' sketches; None where it reads scores."""
        metrics = [metric_of(name) for name in self.metrics]
        if not metrics or any(metric.score for metric in metrics):
            return None
        return RequiredData.all_sums(metric.sketch for metric in metrics)


@lru_cache(maxsize=256)
def _detector(
    metrics: tuple[str, ...], few: int, hold: int, pane: int, *, over: tuple[float, int]
) -> ChangeDetector:
    """One detector for all series, so that the tables of its metrics are computed only once."""
    run = run_length(*over, MINUTE) * (len(metrics) or len(ALL) + SCORED)
    return ChangeDetector(Minutes(metrics, few, pane), Search(run), hold, pane)
