"""A trailing window over panes, and a metric that is read over it at the end of each pane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmvitals.record.reading import Reading
from llmvitals.rules.condition.detector import Detector
from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, SECOND, duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.metrics.metric import Metric, Sample
    from llmvitals.record.vitals import Vitals

_COARSE: Final = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)
MOST: Final = 120
"""The most buckets in a window, by default. It bounds the state of a series."""

TREND_VALUES: Final = 20
"""Values in a trend, at most."""


def bucket_length(window: int, pane: int, most: int = MOST) -> int:
    """The finest bucket (µs) with at most `most` buckets in a window: a pane, 1, 5, 15 min, 1, 6 h, 1 d.

    Raises ValueError with the cure if the window is not a multiple of it.
    """
    for length in (pane, *_COARSE):
        if length % pane == 0 and window <= most * length:
            if window < length or window % length:
                fits = duration_text(max(length, window - window % length))
                raise ValueError(
                    f"{duration_text(window)} is not a multiple of {duration_text(length)}: write {fits}"
                )
            return length
    raise ValueError(f"{duration_text(window)} is too long: at most {most}d")


@dataclass(frozen=True, slots=True)
class Trailing:
    """The last `buckets` buckets of `panes` panes each, including the bucket of the present pane.

    State (plain data): "ring", a list of [bucket, sample] in order, and "sum", the sample of all of them.
    """

    panes: int
    buckets: int

    def add(self, state: dict[str, Any], pane: int, sample: Sample) -> None:
        """Add a closed pane; panes come in order."""
        self.slide(state, pane)
        ring = state.setdefault("ring", [])
        bucket = pane // self.panes
        if ring and ring[-1][0] == bucket:
            ring[-1][1] = _plus(ring[-1][1], sample, 1)
        else:
            ring.append([bucket, sample])
        state["sum"] = _plus(state["sum"], sample, 1) if "sum" in state else sample

    def slide(self, state: dict[str, Any], pane: int) -> None:
        """Remove the buckets that are not in the window that ends with `pane`."""
        ring = state.get("ring")
        if not ring or not self._left(ring[0][0], pane):
            return
        while ring and self._left(ring[0][0], pane):
            state["sum"] = _plus(state["sum"], ring.pop(0)[1], -1)
        if ring:
            sums, top, bins = state["sum"]
            state["sum"] = (sums, top and max(sample[1] for _, sample in ring), bins)
        else:
            del state["ring"], state["sum"]

    def changes(self, state: dict[str, Any]) -> int:
        """The first pane whose window no longer has the oldest bucket; FOREVER: the window is empty."""
        ring = state.get("ring")
        return (ring[0][0] + self.buckets) * self.panes if ring else FOREVER

    def empties(self, state: dict[str, Any]) -> int:
        """The first pane whose window is empty without further calls; FOREVER: it is empty already."""
        ring = state.get("ring")
        return (ring[-1][0] + self.buckets) * self.panes if ring else FOREVER

    def future(self, state: dict[str, Any], pane: int) -> int:
        """The first sum of the window that ends with `pane`, without further calls."""
        ring = state.get("ring")
        if not ring:
            return 0
        if not self._left(ring[0][0], pane):
            return int(state["sum"][0][0])
        return sum(sample[0][0] for bucket, sample in ring if not self._left(bucket, pane))

    def ahead(self, state: dict[str, Any], pane: int, more: Iterable[Sample]) -> Sample:
        """The sum of the window that ends with `pane`, with these further samples (one or more)."""
        held: list[Sample] = [
            sample for bucket, sample in state.get("ring", ()) if not self._left(bucket, pane)
        ]
        if held and not self._left(state["ring"][0][0], pane):
            held = [state["sum"]]
        return reduce(lambda left, right: _plus(left, right, 1), (*held, *more))

    def begins(self, pane: int) -> int:
        """The first pane of the window that ends with `pane`."""
        return (pane // self.panes - self.buckets + 1) * self.panes

    def _left(self, bucket: int, pane: int) -> bool:
        return bucket + self.buckets <= pane // self.panes


def _plus(left: Sample, right: Sample, sign: int) -> Sample:
    bins = left[2]
    if right[2]:
        bins = dict(bins)
        for number, count in right[2].items():
            now = bins.get(number, 0) + sign * count
            if now:
                bins[number] = now
            else:
                bins.pop(number, None)
    sums = [old + sign * new for old, new in zip(left[0], right[0], strict=True)]
    return sums, max(left[1], right[1]), bins


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

    over: of fewer calls (their number, and the value), whether they are enough to say that it is over; None:
    they never are. State: that of the trailing window.
    """

    limit: Limit
    metric: Metric
    few: int
    pane: int
    trailing: Trailing
    over: Callable[[int, float], bool] | None = None

    @classmethod
    def of(
        cls,
        limit: Limit,
        metric: Metric,
        pane: int,
        *,
        few: int,
        over: Callable[[int, float], bool] | None = None,
    ) -> Statistic:
        """The statistic over the window of the limit; pane: µs."""
        length = bucket_length(limit.window, pane)
        return cls(limit, metric, few, pane, Trailing(length // pane, limit.window // length), over)

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
        least = 1 if self.over else self.few
        value = self.metric.read(state["sum"], self.limit.window / SECOND) if calls >= least else None
        if value is None or (self.over and calls < self.few and not self.over(calls, value)):
            return [Reading(at, "none", calls, self.few)]
        return [self.limit.reading(at, value)]

    def wakes(self, state: dict[str, Any]) -> int:
        """The first pane at which the reading may change without a call; FOREVER when there is none."""
        if "sum" not in state:
            return FOREVER
        # With too few calls, there are still too few after some leave the window.
        enough = self.over is not None or self._calls(state) >= self.few
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
