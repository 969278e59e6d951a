"""Remembers the ids of calls, pane by pane, so that a call that comes again is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.clock import Placed
from llmvitals.combine.pane_ids import OpenIds, SealedIds, keys
from llmvitals.combine.response_ids import SLACK, ResponseReport, SpanLink
from llmvitals.window import NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class SeenIds:
    """The ids of the open panes, and of sealed ones for a while.

    remembered: for how many panes after its end a pane's ids are kept. most: how many ids of sealed panes are
    kept; beyond that the oldest panes are forgotten earlier. Which panes a call is compared with depends on
    the log alone, so a pane is only forgotten when no replay needs it. pane_us: µs.
    """

    def __init__(self, remembered: int, most: int, pane_us: int) -> None:
        self.sealed: dict[int, SealedIds] = {}
        self._open: dict[int, OpenIds] = {}
        self._remembered, self._most, self._pane_us = remembered, most, pane_us

    def duplicates(
        self,
        ids: Sequence[str],
        responses: Sequence[ResponseReport | None],
        links: Sequence[SpanLink | None],
        placed: Placed,
    ) -> Flags:
        """For each call, in the order of the log: whether it is a duplicate. Remembers the calls.

        A duplicate has the id of a call in the same pane or in an earlier one that is still remembered, or
        its response is the same call as a counted one (see `ResponseReport.same_call`), or its span is right
        around or right inside of one that came before.
        """
        duplicates = self._add(ids, placed.panes)
        if not any(responses) and not any(links) and (placed.events >= placed.panes).all():
            return duplicates
        # Which panes are still remembered depends on all calls before: a run begins where the lowest open
        # pane rises, and by then the panes below it are complete, their responses too.
        runs = np.flatnonzero(np.diff(placed.lowest)) + 1
        for run in np.split(np.arange(len(ids)), runs):
            oldest = self.oldest(int(placed.lowest[run[0]]))
            self._mark_copies(ids, placed, oldest, (run, duplicates))
            fresh = [place for place in run.tolist() if not duplicates[place]]
            with_response = [place for place in fresh if responses[place]]
            if with_response:
                self._mark_same_calls(responses, placed.panes, oldest, (with_response, duplicates))
            with_link = [(place, link) for place in fresh if (link := links[place])]
            self._mark_nested(with_link, placed.panes, oldest, duplicates)
        return duplicates

    def oldest(self, lowest: int) -> int:
        """The oldest pane that is remembered while the lowest open pane is this one."""
        oldest, held = lowest - self._remembered, 0
        for number in sorted(self._numbers(), reverse=True):
            if oldest <= number < lowest:
                held += len(self._open.get(number) or self.sealed.get(number) or ())
                if held > self._most:
                    return number + 1
        return oldest

    def seal(self, floor: int) -> None:
        """Pack the ids of the panes below the floor, which get no more calls."""
        for number in [number for number in self._open if number < floor]:
            self.sealed[number] = SealedIds.of(self._open.pop(number))

    def forget(self, lowest: int) -> int:
        """Forget the panes that are not needed once the lowest open pane is this one.

        Returns how many ids were forgotten early because there were too many.
        """
        oldest, due = self.oldest(lowest), lowest - self._remembered
        gone = {number: self.sealed.pop(number) for number in [*self.sealed] if number < oldest}
        return sum(len(ids) for number, ids in gone.items() if number >= due)

    def _numbers(self) -> set[int]:
        return self._open.keys() | self.sealed.keys()

    def _add(self, ids: Sequence[str], panes: Ints) -> Flags:
        """Remember ids in their panes. For each id: whether its pane had it already."""
        if (panes == panes[0]).all():
            # As nearly always: calls come in the order of time, and nobody sends them twice.
            known, fresh = self._ids(int(panes[0])), set(ids)
            if len(fresh) == len(ids) and known.isdisjoint(fresh):
                known |= fresh
                return np.zeros(len(ids), np.bool_)
        flags = np.empty(len(ids), np.bool_)
        for place, (pane, name) in enumerate(zip(panes.tolist(), ids, strict=True)):
            known = self._ids(pane)
            flags[place] = name in known
            known.add(name)
        return flags

    def _ids(self, pane: int) -> set[str]:
        if pane not in self._open:
            self._open[pane] = OpenIds()
        return self._open[pane].ids

    def _in_earlier_panes(self, ids: Sequence[str], first: Ints, panes: Ints) -> Flags:
        """For each id: whether it is in a pane from `first` up to, but not including, its own."""
        flags = np.zeros(len(ids), np.bool_)
        hashed = keys(ids)
        lowest, highest = first.min(), panes.max()
        for number in [number for number in self._numbers() if lowest <= number < highest]:
            places = np.flatnonzero((first <= number) & (number < panes) & ~flags)
            if len(places) and number in self.sealed:
                flags[places] = self.sealed[number].holds(hashed[places])
            elif len(places):
                flags[places] = [ids[place] in self._open[number].ids for place in places.tolist()]
        return flags

    def _mark_copies(self, ids: Sequence[str], placed: Placed, oldest: int, run: tuple[Ints, Flags]) -> None:
        """Mark the duplicates whose original is in another pane.

        run: the places of calls with the same lowest open pane, and the flags of all calls.
        """
        places, duplicates = run
        # The original is in the pane of the event time, or in the lowest pane that was open then.
        first = np.maximum(placed.events[places], oldest)
        is_late = (first < placed.panes[places]) & ~duplicates[places]
        late = places[is_late]
        if len(late):
            duplicates[late] = self._in_earlier_panes(
                [ids[place] for place in late.tolist()], first[is_late], placed.panes[late]
            )

    def _mark_nested(
        self, links: Sequence[tuple[int, SpanLink]], panes: Ints, oldest: int, duplicates: Flags
    ) -> None:
        """Mark the calls that the spans right around them, or right inside of them, have told of before.

        links: by the place of the call.
        """
        apart = self._are_apart([link for _, link in links], oldest)
        for place, link in links:
            names: Iterable[str] = link.left
            if not apart:
                since = max((link.start - SLACK) // self._pane_us, oldest)
                is_told, names = link.told_by(partial(self._holds, since))
                duplicates[place] |= is_told
            self._ids(int(panes[place])).update(names)

    def _are_apart(self, links: Sequence[SpanLink], oldest: int) -> bool:
        """Whether no call tells of another one, as nearly always."""
        wanted = {name for link in links for name in link.wanted}
        if not wanted.isdisjoint(name for link in links for name in link.left):
            return False
        since = max((min(link.start for link in links) - SLACK) // self._pane_us, oldest) if links else NEVER
        sealed = [ids for number, ids in self.sealed.items() if number >= since]
        hashed = keys(wanted) if sealed else None
        return all(pane.ids.isdisjoint(wanted) for pane in self._open.values()) and not any(
            ids.holds(hashed).any() for ids in sealed if hashed is not None
        )

    def _holds(self, since: int, name: str) -> bool:
        """Whether a pane from this one on has an id."""
        return any(name in pane.ids for number, pane in self._open.items() if number >= since) or any(
            sealed.holds(keys([name])).any() for number, sealed in self.sealed.items() if number >= since
        )

    def _mark_same_calls(
        self,
        responses: Sequence[ResponseReport | None],
        panes: Ints,
        oldest: int,
        with_response: tuple[list[int], Flags],
    ) -> None:
        """Mark the calls that were reported before as duplicates; remember the responses of the others.

        with_response: the places of the calls to look at, and the flags of all calls.
        """
        places, duplicates = with_response
        reports = [response for place in places if (response := responses[place])]
        # Two reports of one call overlap in time, so the other one is in no pane before this one's start.
        starts = (np.array([response.start for response in reports], np.int64) - SLACK) // self._pane_us
        since = np.maximum(starts, oldest)
        sealed_duplicates = self._in_sealed_panes(reports, since).tolist()
        numbers = sorted(self._open, reverse=True)
        for place, response, same_call, pane, low in zip(
            places, reports, sealed_duplicates, panes[places].tolist(), since.tolist(), strict=True
        ):
            if same_call or self._in_open_panes(response, numbers, low):
                duplicates[place] = True
            else:
                self._open[pane].remember(response)

    def _in_open_panes(self, response: ResponseReport, numbers: Sequence[int], low: int) -> bool:
        for number in numbers:
            if number < low:
                return False
            for other in self._open[number].responses.get(response.id, ()):
                if response.same_call(other):
                    return True
        return False

    def _in_sealed_panes(self, responses: Sequence[ResponseReport], since: Ints) -> Flags:
        flags = np.zeros(len(responses), np.bool_)
        to_compare = np.flatnonzero(since <= max(self.sealed, default=NEVER))
        if not len(to_compare):
            return flags
        lowest = since.min()
        candidates = [responses[place] for place in to_compare.tolist()]
        hashed = keys([response.id for response in candidates])
        numbers = np.array([response[1:] for response in candidates], np.int64).T
        for number, sealed in self.sealed.items():
            if number >= lowest:
                at = np.flatnonzero(since[to_compare] <= number)
                flags[to_compare[at]] |= sealed.same_calls(hashed[at], numbers[:, at])
        return flags
