"""Event time of a source partition: the watermark, promises, and the pane of each call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.window import NEVER

Ints = NDArray[np.int64]


class Placed(NamedTuple):
    """The panes of n calls.

    events: the pane of the event time. panes: the pane that the call is counted in. lowest, before: the
    lowest open pane and the watermark before its record. passed: the lowest open pane after its record.
    offsets: of the records.
    """

    events: Ints
    panes: Ints
    lowest: Ints
    before: Ints
    passed: Ints
    offsets: Ints

    def take(self, places: Ints) -> Placed:
        """Only the calls at these places."""
        return Placed(*(part[places] for part in self))

    def first_passed(self, pane: int) -> int | None:
        """The offset after the call with which the watermark passed a pane; None if no call did."""
        place = int(np.searchsorted(self.passed, pane, side="right"))
        return int(self.offsets[place]) + 1 if place < len(self.passed) else None


@dataclass(slots=True)
class Clock:
    """The event time of one source partition: a pure function of its log and of the promises.

    watermark: the greatest event time (at most its record's Kafka time) less the allowed disorder, µs.
    promises: (offset, pane), both ascending: from that offset on no call is counted below that pane.
    """

    pane_us: int
    disorder_us: int
    watermark: int = NEVER
    promises: list[tuple[int, int]] = field(default_factory=list)

    def lowest_open(self, offset: int) -> int:
        """The lowest pane that is open at an offset, with the watermark as it is now."""
        return max(self.watermark // self.pane_us, self.promised(offset))

    def promised(self, offset: int) -> int:
        """The lowest open pane from this offset on by the promises; NEVER without any."""
        return max((pane for at, pane in self.promises if at <= offset), default=NEVER)

    def advance(self, times: Ints, kafka: Ints, offsets: Ints) -> Placed:
        """Find the panes of calls and advance the watermark.

        times, kafka: event time and Kafka time, µs. offsets: of the records, ascending. The watermark before
        a record decides the panes of all calls in it.
        """
        candidates = np.minimum(times, kafka) - self.disorder_us
        watermarks = np.maximum.accumulate(np.concatenate(([self.watermark], candidates)))
        before = watermarks[np.searchsorted(offsets, offsets)]
        passed = watermarks[np.searchsorted(offsets, offsets, side="right")] // self.pane_us
        lowest = np.maximum(before // self.pane_us, self._promised_at(offsets))
        events = times // self.pane_us
        self.watermark = int(watermarks[-1])
        return Placed(events, np.maximum(events, lowest), lowest, before, passed, offsets)

    def promise(self, offset: int, pane: int) -> bool:
        """Promise that no call is counted below this pane from this offset on; whether that is new."""
        if pane <= self.lowest_open(offset):
            return False
        self.promises = [promise for promise in self.promises if promise[0] < offset]
        self.promises.append((offset, pane))
        return True

    def needed(self, offset: int) -> list[tuple[int, int]]:
        """The promises that a replay from this offset needs: the later ones, and the one in force there."""
        passed = [promise for promise in self.promises if promise[0] > offset]
        return [promise for promise in self.promises if promise[0] <= offset][-1:] + passed

    def _promised_at(self, offsets: Ints) -> Ints:
        panes = np.array([NEVER, *(pane for _, pane in self.promises)], np.int64)
        return panes[np.searchsorted([at for at, _ in self.promises], offsets, side="right")]
