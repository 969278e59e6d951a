"""Remembers the ids of calls, pane by pane, so that a call that comes again is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.clock import Placed
from llmvitals.combine.response_ids import MOST, SLACK, ResponseReport
from llmvitals.window import NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.bytes_]

_KEY: Final = np.dtype("S16")
_RESPONSE: Final = np.dtype([("key", _KEY), ("start", "<i8"), ("end", "<i8"), ("by", "<i8")])


class OpenIds:
    """The ids of a pane that may get more calls. ids: of calls; responses: the reports by response id."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.responses: dict[str, list[ResponseReport]] = {}
        self._remembered_responses = 0

    def __len__(self) -> int:
        return len(self.ids) + self._remembered_responses

    def remember(self, response: ResponseReport) -> None:
        """Remember the response of a call that is no duplicate."""
        known = self.responses.setdefault(response.id, [])
        known.append(response)
        self._remembered_responses += len(known) <= MOST
        del known[:-MOST]


class SealedIds:
    """The ids of a sealed pane: 16 bytes for a call, and 40 more if it has a response id.

    Ids are kept as 128 bits of BLAKE2b: two of 10⁹ ids collide with a probability of 10⁻²¹.
    data: the bytes for the checkpoint; the arrays are views of them.
    """

    def __init__(self, data: bytes) -> None:
        ids, responses = msgspec.msgpack.decode(data, type=tuple[memoryview, memoryview])
        self.data = data
        self._ids: Keys = np.frombuffer(ids, _KEY)
        self._responses: NDArray[Any] = np.frombuffer(responses, _RESPONSE)
        self._keys: Keys = np.ascontiguousarray(self._responses["key"])

    @classmethod
    def of(cls, pane: OpenIds) -> Self:
        """Pack the ids of a pane. The bytes depend only on the ids, not on their order."""
        reports = [(_digest(report.id), *report[1:]) for known in pane.responses.values() for report in known]
        responses = np.array(sorted(reports), _RESPONSE)
        return cls(msgspec.msgpack.encode((np.sort(keys(pane.ids)).tobytes(), responses.tobytes())))

    def __len__(self) -> int:
        return len(self._ids) + len(self._responses)

    def holds(self, ids: Keys) -> Flags:
        """For each key: whether a call with that id is in this pane."""
        return _contains_at(self._ids, np.searchsorted(self._ids, ids), ids)

    def same_calls(self, ids: Keys, numbers: Ints) -> Flags:
        """For each response (its key, and rows start, end, by): whether this pane has the same call."""
        start, end, by = numbers
        first = np.searchsorted(self._keys, ids)
        flags = np.zeros(len(ids), np.bool_)
        for step in range(MOST):
            same = _contains_at(self._keys, first + step, ids)
            if not same.any():
                break
            other = self._responses[np.minimum(first + step, len(self._responses) - 1)]
            others = (by != other["by"]) | (by == 0)
            flags |= same & others & (start <= other["end"] + SLACK) & (other["start"] <= end + SLACK)
        return flags


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
        self, ids: Sequence[str], responses: Sequence[ResponseReport | None], placed: Placed
    ) -> Flags:
        """For each call, in the order of the log: whether it is a duplicate. Remembers the calls.

        A duplicate has the id of a call in the same pane or in an earlier one that is still remembered, or
        its response is the same call as a counted one (see `ResponseReport.same_call`).
        """
        duplicates = self._add(ids, placed.panes)
        if not any(responses) and (placed.events >= placed.panes).all():
            return duplicates
        # Which panes are still remembered depends on all calls before: a run begins where the lowest open
        # pane rises, and by then the panes below it are complete, their responses too.
        runs = np.flatnonzero(np.diff(placed.lowest)) + 1
        for run in np.split(np.arange(len(ids)), runs):
            self._mark_copies(ids, responses, placed, (run, duplicates))
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

    def _mark_copies(
        self,
        ids: Sequence[str],
        responses: Sequence[ResponseReport | None],
        placed: Placed,
        run: tuple[Ints, Flags],
    ) -> None:
        """Mark the duplicates whose original is in another pane, or is known by its response.

        run: the places of calls with the same lowest open pane, and the flags of all calls.
        """
        places, duplicates = run
        oldest = self.oldest(int(placed.lowest[places[0]]))
        # The original is in the pane of the event time, or in the lowest pane that was open then.
        first = np.maximum(placed.events[places], oldest)
        is_late = (first < placed.panes[places]) & ~duplicates[places]
        late = places[is_late]
        if len(late):
            duplicates[late] = self._in_earlier_panes(
                [ids[place] for place in late.tolist()], first[is_late], placed.panes[late]
            )
        with_response = [place for place in places.tolist() if responses[place] and not duplicates[place]]
        if with_response:
            self._mark_same_calls(responses, placed.panes, oldest, (with_response, duplicates))

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


def keys(ids: Iterable[str]) -> Keys:
    """Hash each id to 128 bits."""
    return np.frombuffer(b"".join(map(_digest, ids)), _KEY)


def _digest(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest()


def _contains_at(known: Keys, places: Ints, wanted: Keys) -> Flags:
    """For each wanted key: whether `known` has it at this place."""
    if not len(known):
        return np.zeros(len(wanted), np.bool_)
    there: Flags = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == wanted)
    return there
