"""A trailing window over panes: a sliding sum; buckets that leave are subtracted exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from llmvitals.window import DAY, FOREVER, HOUR, MINUTE, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.metrics.metric import Sample

_COARSE: Final = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)
MOST: Final = 120
"""The most buckets in a window, by default. It bounds the state of a series."""


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
        if not ring or ring[-1][0] != bucket:
            ring.append([bucket, ([0] * len(sample[0]), 0, {})])
        ring[-1][1] = _plus(ring[-1][1], sample, 1)
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
