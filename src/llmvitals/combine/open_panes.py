"""The panes of a source partition that are not sealed: adds calls, finds duplicates, closes panes."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.clock import Clock, Placed
from llmvitals.combine.columns import Columns
from llmvitals.combine.interner import CodedCalls, Interners
from llmvitals.combine.pane import ON_TIME, Pane
from llmvitals.combine.pane_ids import SealedIds
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.seen_ids import SeenIds
from llmvitals.sketch.counters import SUM
from llmvitals.sketch.runs import run_starts
from llmvitals.window import QUARTER_HOUR

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

WAITING: Final = 32_768
"""Calls that may be pending in all panes. More of them are cheaper to add up, but need more memory."""


class Placement(NamedTuple):
    """For each call: whether it is a duplicate of another, and whether it came late."""

    duplicates: Flags
    late: Flags


class OpenPanes:
    """Panes by number. floor: every pane below it is acknowledged by Kafka; its calls are not counted again.

    The ids of a pane are kept longer than the pane: see `SeenIds`. interners: None for its own.
    """

    def __init__(
        self,
        plan: CombinePlan,
        floor: int,
        ids: Mapping[int, SealedIds],
        interners: Interners | None = None,
    ) -> None:
        self.floor = floor
        self.seen = SeenIds(plan.remembered, plan.max_ids, plan.pane_us)
        self.seen.sealed.update(ids)
        self._plan = plan
        self._panes: dict[int, Pane] = {}
        self._interners = interners or Interners(plan)

    def put(self, columns: Columns, placed: Placed) -> Placement:
        """Add n calls, in the order of the log, to their panes."""
        late = placed.panes > placed.events
        kept = placed.panes >= self.floor
        if not kept.all():
            # A replay reads calls of sealed panes again.
            duplicates = np.zeros(len(late), np.bool_)
            places = np.flatnonzero(kept)
            if len(places):
                duplicates[places] = self.put(columns.take(places), placed.take(places)).duplicates
            return Placement(duplicates, late)
        self._create(placed)
        duplicates = self.seen.duplicates(columns.ids, columns.responses, columns.links, placed)
        vectors = columns.vectors
        late_calls = late & (vectors[SUM["calls"]] > 0) & ~duplicates
        vectors[SUM["late_calls"]] = late_calls
        vectors[:, duplicates] = 0
        vectors[SUM["duplicates"], duplicates] = 1
        quarters = np.where(late_calls, placed.events * self._plan.pane_us // QUARTER_HOUR, ON_TIME)
        self._distribute(columns, placed.panes, quarters)
        self._limit_pending()
        return Placement(duplicates, late)

    def close(self, clock: Clock, placed: Placed | None, upto: int) -> None:
        """Mark the panes that are closed at offset `upto`, each with the offset at which it closed.

        placed: the calls since the last call of this method.
        """
        lowest = clock.lowest_open(upto)
        for pane in self._panes.values():
            if pane.closed is None and pane.number < lowest:
                promised = [at for at, floor in clock.promises if floor > pane.number and at <= upto]
                passed = placed and placed.first_passed(pane.number)
                pane.closed = min([*promised, passed] if passed else promised)

    def open(self) -> list[Pane]:
        """The open panes, ascending."""
        return [pane for _, pane in sorted(self._panes.items()) if pane.closed is None]

    def closed_panes(self) -> list[Pane]:
        """The closed panes that were not emitted yet, in the order in which they closed."""
        closed = [pane for pane in self._panes.values() if pane.closed is not None and not pane.emitted]
        return sorted(closed, key=lambda pane: (pane.closed, pane.number))

    def seal(self, floor: int) -> int:
        """Drop the panes below this floor: Kafka has acknowledged their frames.

        Returns how many ids were forgotten early (see SeenIds).
        """
        self.floor = max(self.floor, floor)
        self._panes = {number: pane for number, pane in self._panes.items() if number >= self.floor}
        self.seen.seal(self.floor)
        return self.seen.forget(min((pane.lowest for pane in self._panes.values()), default=self.floor))

    def oldest(self) -> tuple[int, int] | None:
        """The offset at which a replay has to start to rebuild all panes, and the watermark there."""
        return min(((pane.first, pane.watermark) for pane in self._panes.values()), default=None)

    def _limit_pending(self) -> None:
        if sum(pane.pending for pane in self._panes.values()) > WAITING:
            for pane in self._panes.values():
                pane.add_up()

    def _create(self, placed: Placed) -> None:
        """Create the panes that have no calls yet."""
        numbers, firsts = np.unique(placed.panes, return_index=True)
        for number, first in zip(numbers.tolist(), firsts.tolist(), strict=True):
            if number not in self._panes:
                start = {
                    "first": int(placed.offsets[first]),
                    "watermark": int(placed.before[first]),
                    "lowest": int(placed.lowest[first]),
                }
                self._panes[number] = Pane(number, self._plan, self._interners.newest(), **start)

    def _distribute(self, columns: Columns, panes: Ints, quarters: Ints) -> None:
        """Add calls to their panes. quarters: of an hour, of the late calls' own time; else ON_TIME."""
        groups = _Groups.of(panes, quarters)
        interners = {id(interner): interner for interner in (self._panes[n].interner for n in groups.panes)}
        if len(interners) > 1:
            owners = np.array([id(self._panes[number].interner) for number in panes.tolist()])
            for interner in interners:
                places = np.flatnonzero(owners == interner)
                self._distribute(columns.take(places), panes[places], quarters[places])
            return
        parts = groups.split(next(iter(interners.values())).code(columns))
        for _, number, quarter, part in sorted(
            zip(groups.firsts, groups.panes, groups.quarters, parts, strict=True), key=itemgetter(0)
        ):
            self._panes[number].put(part, quarter)


class _Groups(NamedTuple):
    """Calls by pane and quarter. order: all calls, sorted by group. The rest: one for each group.

    firsts: the place of its first call.
    """

    order: Ints
    counts: Ints
    firsts: list[int]
    panes: list[int]
    quarters: list[int]

    @classmethod
    def of(cls, panes: Ints, quarters: Ints) -> _Groups:
        """Group calls, at least one."""
        order = np.lexsort((quarters, panes))
        sorted_panes, sorted_quarters = panes[order], quarters[order]
        starts = run_starts(sorted_panes, sorted_quarters)
        counts = np.diff(np.append(starts, len(order)))
        firsts, numbers = order[starts].tolist(), sorted_panes[starts].tolist()
        return cls(order, counts, firsts, numbers, sorted_quarters[starts].tolist())

    def split(self, coded: CodedCalls) -> list[CodedCalls]:
        """The calls of each group, in the order of the log."""
        return [coded] if len(self.counts) == 1 else coded.split(self.order, self.counts)
