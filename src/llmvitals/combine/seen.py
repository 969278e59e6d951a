"""The ids of calls that are remembered, so that a copy and a twin count once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.answers import SLACK, Answer
from llmvitals.combine.clock import Placed
from llmvitals.combine.packed import Keys, Open, Packed, digest, keys
from llmvitals.combine.sieve import Sieve
from llmvitals.window import NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Seen:
    """The ids of the open panes, and of closed ones for a while.

    remembered: for how many panes after its closing a pane is remembered. most: how many ids of closed panes
    are; of more, the oldest panes are forgotten earlier. pane_us: µs. packed: ids of sealed panes.

    Law: which panes a call is compared with depends on the log alone. What is forgotten is only what no
    replay asks for.
    """

    def __init__(self, remembered: int, most: int, pane_us: int, packed: dict[int, Packed]) -> None:
        self.forgotten = 0
        """How many ids were forgotten before their time because there were too many."""
        self.packed = packed
        self._open: dict[int, Open] = {}
        self._remembered, self._most, self._pane_us = remembered, most, pane_us
        self._sieve = Sieve()
        self._sieve.fill([pane.ids for pane in packed.values()])

    def copies(self, ids: Sequence[str], answers: Sequence[Answer | None], placed: Placed) -> Flags:
        """For each call, in the order of the log: whether it is a copy or a twin of another. Remembers them.

        A copy has the id of a call in a pane that is open or still remembered, whatever its own time. A twin
        has the response id of a call that counts: see `Answer.twin`.
        """
        digests = list(map(digest, ids))
        held = self._newest(keys(digests))
        twins = self._packed_twins(answers)
        found: list[bool] = []
        low, oldest, numbers = NEVER, NEVER, sorted(self._open, reverse=True)
        for place, (pane, lowest) in enumerate(
            zip(placed.panes.tolist(), placed.lowest.tolist(), strict=True)
        ):
            if lowest != low or not place:
                low, oldest = lowest, self.oldest(lowest)
            if pane not in self._open:
                self._open[pane] = Open()
                numbers = sorted(self._open, reverse=True)
            name = digests[place]
            copy = held.get(place, NEVER) >= oldest and place in held
            copy = copy or any(number >= oldest and name in self._open[number].ids for number in numbers)
            self._open[pane].ids.add(name)
            answer = answers[place]
            if answer and not copy:
                copy = twins.get(place, NEVER) >= oldest and place in twins
                copy = copy or self._open_twin(answer, [number for number in numbers if number >= oldest])
                if not copy:
                    self._open[pane].note(answer)
            found.append(copy)
        return np.array(found, np.bool_)

    def oldest(self, lowest: int) -> int:
        """The oldest pane that is remembered at a record whose lowest open pane is this one."""
        oldest, held = lowest - self._remembered, 0
        for number in sorted(self._open.keys() | self.packed.keys(), reverse=True):
            if oldest <= number < lowest:
                held += len(self._open.get(number) or self.packed.get(number) or ())
                if held > self._most:
                    return number + 1
        return oldest

    def pack(self, floor: int) -> None:
        """Pack the panes below the floor: no call comes to them any more."""
        for number in [number for number in self._open if number < floor]:
            self.packed[number] = Packed.of(self._open.pop(number))
            if not self._sieve.add(self.packed[number].ids):
                self._sieve.fill([pane.ids for pane in self.packed.values()])

    def forget(self, lowest: int) -> None:
        """Forget what is not asked for from a record on whose lowest open pane is this one."""
        oldest, due = self.oldest(lowest), lowest - self._remembered
        for number in [number for number in self.packed if number < oldest]:
            gone = self.packed.pop(number)
            self.forgotten += len(gone) if number >= due else 0

    def _newest(self, hashed: Keys) -> dict[int, int]:
        """Place of an id → the newest packed pane that holds it."""
        asked = self._sieve.maybe(hashed)
        if not len(asked):
            return {}
        newest = np.full(len(asked), NEVER)
        for number, pane in self.packed.items():
            there = pane.holds(hashed[asked])
            newest[there] = np.maximum(newest[there], number)
        return {
            place: pane for place, pane in zip(asked.tolist(), newest.tolist(), strict=True) if pane > NEVER
        }

    def _packed_twins(self, answers: Sequence[Answer | None]) -> dict[int, int]:
        """Place of an answer → the newest packed pane that has a twin of it."""
        # A twin ended no earlier than this call began, and lies in no pane before that.
        newest = (max(self.packed, default=NEVER) + 1) * self._pane_us + SLACK
        asked = [place for place, answer in enumerate(answers) if answer and answer.start < newest]
        few = [answer for place in asked if (answer := answers[place])]
        found = np.full(len(few), NEVER)
        if not few:
            return {}
        hashed = keys([digest(answer.id) for answer in few])
        numbers = np.array([answer[1:] for answer in few], np.int64).T
        since = (numbers[0] - SLACK) // self._pane_us
        lowest = int(since.min())
        for number in sorted(number for number in self.packed if number >= lowest):
            at = np.flatnonzero(since <= number)
            found[at[self.packed[number].twins(hashed[at], numbers[:, at])]] = number
        return {place: pane for place, pane in zip(asked, found.tolist(), strict=True) if pane > NEVER}

    def _open_twin(self, answer: Answer, numbers: Sequence[int]) -> bool:
        return any(
            answer.twin(other)
            for number in numbers
            for other in self._open[number].answers.get(answer.id, ())
        )
