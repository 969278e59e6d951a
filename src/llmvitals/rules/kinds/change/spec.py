# pydantic tells a ValueError to the user, and passes a TypeError on
"""Change without a rule: any metric of a view that is suddenly not what it was, in one digest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, field_validator

from llmvitals.rules.condition.false_alarms import FalseAlarms, Series, run_length
from llmvitals.rules.condition.scope import Scope, listed
from llmvitals.rules.kinds.change.change_points import Search
from llmvitals.rules.kinds.change.detector import Digest
from llmvitals.rules.kinds.change.minutes import ALL, Minutes, changing
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

SCORED: Final = 4
"""Scores that a rule without names is taken to look at, in what it promises."""


def _hold(value: Any) -> int:
    length = duration(value)
    if not 10 * MINUTE <= length <= DAY:
        raise ValueError(f"{value} does not fit: write 10m to 24h")
    return length


class Change(Scope):
    """`change:` of a rule. It fires while any metric of the series has changed within `hold`.

    metrics: those that are looked at; by default all shares, means and percentiles of a minute, and every
    score. min_calls: what a minute needs of a metric's calls. false_alarms: a month, of all series and
    metrics together, as far as it can be promised (docs/change.md). hold: how long a change is told.
    Nothing is said before half an hour with calls. Its severity is info unless the rule's labels say more.
    """

    kind: ClassVar[str] = "change"
    eager: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    severity: ClassVar[str] = "info"
    summary: ClassVar[str] = "Changed: {note} ({series})"

    metrics: tuple[str, ...] = Field((), max_length=50)
    min_calls: int = Field(10, ge=1, le=1_000_000)
    false_alarms: FalseAlarms = 1
    series: Series = 100
    hold: Annotated[int, BeforeValidator(_hold)] = HOUR

    @field_validator("by", mode="after")
    @classmethod
    def _lasting(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "session" in value:
            raise ValueError("a session is over before it changes: write another dimension, such as [app]")
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
        """What value counts."""
        return "changes"

    @property
    def unit(self) -> Unit:
        """Metrics are counted."""
        return "count"

    @property
    def window_text(self) -> str:
        """How long a change is told, as one writes it."""
        return duration_text(self.hold)

    def detector(self, pane: int, key: tuple[str, ...]) -> Digest:
        """The logic for one series; pane in µs."""
        del key
        return _digest(self.metrics, self.min_calls, self.hold, pane, over=(self.false_alarms, self.series))


@lru_cache(maxsize=256)
def _digest(metrics: tuple[str, ...], few: int, hold: int, pane: int, *, over: tuple[float, int]) -> Digest:
    """One for all series: what it derives from its metrics is derived once."""
    run = run_length(*over, MINUTE) * (len(metrics) or len(ALL) + SCORED)
    return Digest(Minutes(metrics, few, pane), Search(run), hold, pane)
