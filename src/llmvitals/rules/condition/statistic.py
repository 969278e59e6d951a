"""A statistic over a trailing window, read at each pane's end."""

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

BARS: Final = 20
"""Values in a trend, at most."""


class Judge(Protocol):
    """Says what a value of a metric means. window: µs."""

    @property
    def metric(self) -> str: ...
    @property
    def window(self) -> int: ...

    def judged(self, at: int, value: float) -> Reading:
        """The reading for a value at a time (µs)."""


@dataclass(frozen=True, slots=True)
class Statistic(Detector):
    """State: that of the trailing window. A reading is "none" while there are fewer than `few` calls."""

    judge: Judge
    metric: Metric
    few: int
    pane: int
    trailing: Trailing

    @classmethod
    def over(cls, judge: Judge, metric: Metric, pane: int, *, few: int) -> Statistic:
        """The statistic over the judge's window; pane in µs."""
        length = bucket_length(judge.window, pane)
        return cls(judge, metric, few, pane, Trailing(length // pane, judge.window // length))

    @property
    def shape(self) -> str:
        """What the state depends on."""
        return f"{self.judge.metric} {self.trailing.panes} {self.trailing.buckets} {self.pane}"

    def take(self, state: dict[str, Any], pane: int, vitals: Vitals | None) -> list[Reading]:
        """Read a closed pane."""
        if vitals is None:
            self.trailing.slide(state, pane)
        else:
            self.trailing.add(state, pane, self.metric.sample(vitals))
        at, calls = (pane + 1) * self.pane, self._calls(state)
        value = self.metric.read(state["sum"], self.judge.window / SECOND) if calls >= self.few else None
        return [Reading(at, "none", calls, self.few) if value is None else self.judge.judged(at, value)]

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the reading may change without a call; FOREVER when there is none."""
        if "sum" not in state:
            return FOREVER
        # Where there are too few calls, there are still too few when some leave the window.
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
        first = max(pane // self.trailing.panes - self.trailing.buckets + 1, last - BARS + 1)
        samples = (ring.get(bucket, ([0, 0, 0], 0, {})) for bucket in range(first, last + 1))
        found = (self.metric.read(sample, length / SECOND) for sample in samples)
        return [value for value in found if value is not None]

    def _calls(self, state: dict[str, Any]) -> int:
        return self.metric.calls(state["sum"]) if "sum" in state else 0
