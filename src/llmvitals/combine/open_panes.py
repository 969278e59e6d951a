"""The panes of a source partition that are not sealed: calls are put in, copies are told, panes close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.clock import Clock, Placed
from llmvitals.combine.columns import Columns
from llmvitals.combine.interner import Interner
from llmvitals.combine.pane import Pane
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.seen import Packed, Seen
from llmvitals.sketch.counters import SUM

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

WAITING: Final = 32_768
"""Calls that may wait in panes before they are added up: the more, the cheaper each, and the more memory."""


class Placement(NamedTuple):
    """For each call: whether it is a copy of another, and whether it came late."""

    copies: Flags
    late: Flags


class OpenPanes:
    """Panes by number. floor: every pane below it is in Kafka for good, so its calls are not counted again.

    The ids of a pane stay longer than the pane: see `Seen`.
    """

    def __init__(self, plan: CombinePlan, floor: int, ids: Mapping[int, Packed]) -> None:
        self.floor = floor
        self.seen = Seen(plan.remembered, plan.max_ids, plan.pane_us)
        self.seen.packed.update(ids)
        self._plan = plan
        self._panes: dict[int, Pane] = {}
        self._book = self._new_book()

    def put(self, columns: Columns, placed: Placed) -> Placement:
        """Count calls (n, in the order of the log) in their panes."""
        late = placed.panes > placed.events
        kept = placed.panes >= self.floor
        if not kept.all():
            # A replay passes calls of sealed panes.
            copies = np.zeros(len(late), np.bool_)
            places = np.flatnonzero(kept)
            if len(places):
                copies[places] = self.put(columns.take(places), placed.take(places)).copies
            return Placement(copies, late)
        self._begin(placed)
        copies = self.seen.copies(columns.ids, columns.answers, placed)
        vectors = columns.vectors
        vectors[SUM["late_calls"]] = late & (vectors[SUM["calls"]] > 0)
        vectors[:, copies] = 0
        vectors[SUM["duplicates"], copies] = 1
        self._spread(columns, placed.panes)
        if sum(pane.waiting for pane in self._panes.values()) > WAITING:
            for pane in self._panes.values():
                pane.settle()
        return Placement(copies, late)

    def close(self, clock: Clock, placed: Placed | None, upto: int) -> None:
        """Mark the panes that are closed at offset `upto`, each with the first offset at which it was.

        placed: the calls since this was last asked.
        """
        low = clock.lowest_open(upto)
        for pane in self._panes.values():
            if pane.closed is None and pane.number < low:
                made = [at for at, floor in clock.promises if floor > pane.number and at <= upto]
                passed = placed and placed.first_passed(pane.number)
                pane.closed = min([*made, passed] if passed else made)

    def open(self) -> list[Pane]:
        """The open panes, in their order."""
        return [pane for _, pane in sorted(self._panes.items()) if pane.closed is None]

    def done(self) -> list[Pane]:
        """The closed panes that were not given out yet, in the order of their closing."""
        found = [pane for pane in self._panes.values() if pane.closed is not None and not pane.given]
        return sorted(found, key=lambda pane: (pane.closed, pane.number))

    def seal(self, floor: int) -> None:
        """Every pane below this is in Kafka."""
        self.floor = max(self.floor, floor)
        self._panes = {number: pane for number, pane in self._panes.items() if number >= self.floor}
        self.seen.pack(self.floor)
        self.seen.forget(min((pane.lowest for pane in self._panes.values()), default=self.floor))

    def oldest(self) -> tuple[int, int] | None:
        """Where a replay has to start (offset, and the watermark there) so that all panes come back."""
        return min(((pane.first, pane.watermark) for pane in self._panes.values()), default=None)

    def _begin(self, placed: Placed) -> None:
        """Begin the panes that calls are the first of."""
        if self._book.full:
            self._book = self._new_book()
        numbers, firsts = np.unique(placed.panes, return_index=True)
        for number, first in zip(numbers.tolist(), firsts.tolist(), strict=True):
            if number not in self._panes:
                begin = {
                    "first": int(placed.offsets[first]),
                    "watermark": int(placed.before[first]),
                    "lowest": int(placed.lowest[first]),
                }
                self._panes[number] = Pane(number, self._plan, self._book, **begin)

    def _spread(self, columns: Columns, panes: Ints) -> None:
        """Hand calls to their panes."""
        numbers, counts = np.unique(panes, return_counts=True)
        books = {id(book): book for book in (self._panes[number].book for number in numbers.tolist())}
        if len(books) > 1:
            theirs = np.array([id(self._panes[number].book) for number in panes.tolist()])
            for book in books:
                places = np.flatnonzero(theirs == book)
                self._spread(columns.take(places), panes[places])
            return
        coded = next(iter(books.values())).code(columns)
        parts = [coded] if len(numbers) == 1 else coded.split(np.argsort(panes, kind="stable"), counts)
        for number, part in zip(numbers.tolist(), parts, strict=True):
            self._panes[number].put(part)

    def _new_book(self) -> Interner:
        contributors = any(view.contributors for view in self._plan.views)
        return Interner(contributors=contributors, scales=self._plan.scales)
