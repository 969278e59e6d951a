"""Where a call goes is decided by the log alone: the watermark, promises, and the pane that follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.window import NEVER

Ints = NDArray[np.int64]


class Placed(NamedTuple):
    """n calls: the pane of each one's event time, and the pane that it goes to.

    lowest, before: the lowest pane that was open at its record, and the watermark there. passed: the lowest
    pane that the watermark leaves open after its record. offsets: of the records.
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
        """The offset after the first of these calls with which the watermark passed a pane; None if none."""
        place = int(np.searchsorted(self.passed, pane, side="right"))
        return int(self.offsets[place]) + 1 if place < len(self.passed) else None


@dataclass(slots=True)
class Clock:
    """The event time of one source partition, a pure function of its log and of the promises made.

    watermark: the greatest event time (none counts as later than its record's Kafka time) less the allowed
    disorder, µs. promises: (offset, pane), both rising: from that offset on nothing goes below that pane.
    """

    pane_us: int
    disorder_us: int
    watermark: int = NEVER
    promises: list[tuple[int, int]] = field(default_factory=list)

    def lowest_open(self, offset: int) -> int:
        """The lowest pane that is open at an offset, with the watermark as it is now."""
        return max(self.watermark // self.pane_us, self.promised(offset))

    def promised(self, offset: int) -> int:
        """The pane below which nothing goes from this offset on, by promise; NEVER for none."""
        return max((pane for at, pane in self.promises if at <= offset), default=NEVER)

    def advance(self, times: Ints, kafka: Ints, offsets: Ints) -> Placed:
        """Place calls and let the watermark pass them.

        times, kafka: event time and Kafka's, µs; offsets: of their records, in the order of the log. The
        watermark before a record decides for all calls in it.
        """
        reached = np.minimum(times, kafka) - self.disorder_us
        marks = np.maximum.accumulate(np.concatenate(([self.watermark], reached)))
        before = marks[np.searchsorted(offsets, offsets)]
        passed = marks[np.searchsorted(offsets, offsets, side="right")] // self.pane_us
        lowest = np.maximum(before // self.pane_us, self._promised_at(offsets))
        events = times // self.pane_us
        self.watermark = int(marks[-1])
        return Placed(events, np.maximum(events, lowest), lowest, before, passed, offsets)

    def promise(self, offset: int, pane: int) -> bool:
        """From this offset on nothing goes below this pane; whether that says anything new."""
        if pane <= self.lowest_open(offset):
            return False
        self.promises = [made for made in self.promises if made[0] < offset]
        self.promises.append((offset, pane))
        return True

    def needed(self, offset: int) -> list[tuple[int, int]]:
        """The promises that a replay from this offset passes, and the one in force where it starts."""
        passed = [made for made in self.promises if made[0] > offset]
        return [made for made in self.promises if made[0] <= offset][-1:] + passed

    def _promised_at(self, offsets: Ints) -> Ints:
        panes = np.array([NEVER, *(pane for _, pane in self.promises)], np.int64)
        return panes[np.searchsorted([at for at, _ in self.promises], offsets, side="right")]
