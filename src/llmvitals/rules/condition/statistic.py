"""A metric over a trailing window, read at the end of each pane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.rules.condition.trailing import Trailing, bucket_length
from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric, Sample
    from llmvitals.record.vitals import Vitals

TREND_VALUES: Final = 20
"""Values in a trend, at most."""


class Limit(Protocol):
    """Turns values of a metric into readings. window: µs."""

    @property
    def metric(self) -> str: ...
    @property
    def window(self) -> int: ...

    def reading(self, at: int, value: float) -> Reading:
        """The reading for a value at a time (µs)."""


@dataclass(frozen=True, slots=True)
class Statistic(Detector):
    """Reads a metric against a limit. With fewer than `few` calls the reading is "none".

    State: that of the trailing window.
    """

    limit: Limit
    metric: Metric
    few: int
    pane: int
    trailing: Trailing

    @classmethod
    def over(cls, limit: Limit, metric: Metric, pane: int, *, few: int) -> Statistic:
        """The statistic over the window of the limit; pane: µs."""
        length = bucket_length(limit.window, pane)
        return cls(limit, metric, few, pane, Trailing(length // pane, limit.window // length))

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"{self.limit.metric} {self.trailing.panes} {self.trailing.buckets} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, self.metric.sample(vitals))
        at, calls = (pane + 1) * self.pane, self._calls(state)
        value = self.metric.read(state["sum"], self.limit.window / SECOND) if calls >= self.few else None
        return [Reading(at, "none", calls, self.few) if value is None else self.limit.reading(at, value)]

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the reading may change without a call; FOREVER when there is none."""
        if "sum" not in state:
            return FOREVER
        # With too few calls, there are still too few after some leave the window.
        enough = self._calls(state) >= self.few
        return self.trailing.changes(state) if enough else self.trailing.empties(state)

    def trend(self, state: dict[str, Any], pane: int) -> list[float]:
        """The value in each of the last buckets of the window that ends with `pane`, oldest first.

        Buckets without a value are left out, and so is the unfinished one of a total, which is too low.
        """
        ring: dict[int, Sample] = dict(state.get("ring", ()))
        last, length = pane // self.trailing.panes, self.trailing.panes * self.pane
        if self.metric.additive and (pane + 1) % self.trailing.panes:
            last -= 1
        first = max(pane // self.trailing.panes - self.trailing.buckets + 1, last - TREND_VALUES + 1)
        samples = (ring.get(bucket, ([0, 0, 0], 0, {})) for bucket in range(first, last + 1))
        values = (self.metric.read(sample, length / SECOND) for sample in samples)
        return [value for value in values if value is not None]

    def _calls(self, state: dict[str, Any]) -> int:
        return self.metric.calls(state["sum"]) if "sum" in state else 0
