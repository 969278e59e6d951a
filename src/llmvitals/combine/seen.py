"""The ids of calls that are remembered, pane by pane, so that a copy and a twin count once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.answers import MOST, SLACK, Answer
from llmvitals.combine.clock import Placed
from llmvitals.window import NEVER

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.bytes_]

_KEY: Final = np.dtype("S16")
_ANSWER: Final = np.dtype([("key", _KEY), ("start", "<i8"), ("end", "<i8"), ("by", "<i8")])


class Open:
    """The ids of a pane to which calls may still come: ids of calls, and answers by response id."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.answers: dict[str, list[Answer]] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self.ids) + self._held

    def note(self, answer: Answer) -> None:
        """Remember the answer of a call that counts."""
        known = self.answers.setdefault(answer.id, [])
        known.append(answer)
        self._held += len(known) <= MOST
        del known[:-MOST]


class Packed:
    """The ids of a closed pane, which never change: 16 bytes a call, 40 more where it has a response id.

    Ids are kept as 128 bits of BLAKE2b: that two of 10⁹ ids share them has a chance of 10⁻²¹.
    data: the same as bytes, for the checkpoint; the arrays are views of it.
    """

    def __init__(self, data: bytes) -> None:
        ids, answers = msgspec.msgpack.decode(data, type=tuple[memoryview, memoryview])
        self.data = data
        self._ids: Keys = np.frombuffer(ids, _KEY)
        self._answers: NDArray[Any] = np.frombuffer(answers, _ANSWER)
        self._keys: Keys = np.ascontiguousarray(self._answers["key"])

    @classmethod
    def of(cls, pane: Open) -> Self:
        """Pack a pane that closed. The bytes depend on what is in it only."""
        told = [(_digest(one.id), *one[1:]) for known in pane.answers.values() for one in known]
        answers = np.array(sorted(told), _ANSWER)
        return cls(msgspec.msgpack.encode((np.sort(keys(pane.ids)).tobytes(), answers.tobytes())))

    def __len__(self) -> int:
        return len(self._ids) + len(self._answers)

    def holds(self, ids: Keys) -> Flags:
        """For each of these keys: whether a call of that id is here."""
        return _at(self._ids, np.searchsorted(self._ids, ids), ids)

    def twins(self, ids: Keys, numbers: Ints) -> Flags:
        """For each of these answers (their keys, and 3 rows of start, end, by): whether a twin is here."""
        start, end, by = numbers
        first = np.searchsorted(self._keys, ids)
        found = np.zeros(len(ids), np.bool_)
        for step in range(MOST):
            same = _at(self._keys, first + step, ids)
            if not same.any():
                break
            other = self._answers[np.minimum(first + step, len(self._answers) - 1)]
            others = (by != other["by"]) | (by == 0)
            found |= same & others & (start <= other["end"] + SLACK) & (other["start"] <= end + SLACK)
        return found


class Seen:
    """The ids of the open panes, and of closed ones for a while.

    remembered: for how many panes after its closing a pane is remembered. most: how many ids of closed panes
    are; of more, the oldest panes are forgotten earlier. Which panes a call is compared with depends on the
    log alone: what may be forgotten is only what no replay asks for. pane_us: µs.
    """

    def __init__(self, remembered: int, most: int, pane_us: int) -> None:
        self.forgotten = 0
        """How many ids were forgotten before their time because there were too many."""
        self.packed: dict[int, Packed] = {}
        self._open: dict[int, Open] = {}
        self._remembered, self._most, self._pane_us = remembered, most, pane_us

    def copies(self, ids: Sequence[str], answers: Sequence[Answer | None], placed: Placed) -> Flags:
        """For each call, in the order of the log: whether it is a copy or a twin of another. Remembers them.

        A copy has the id of a call in the same pane or in one that is still remembered. A twin has the
        response id of a call that counts: see `Answer.twin`.
        """
        copies = np.array(
            [self._add(pane, name) for pane, name in zip(placed.panes.tolist(), ids, strict=True)], np.bool_
        )
        told = [place for place, answer in enumerate(answers) if answer]
        if not told and (placed.events >= placed.panes).all():
            return copies
        lowest, which = np.unique(placed.lowest, return_inverse=True)
        oldest = np.array([self.oldest(pane) for pane in lowest.tolist()], np.int64)[which]
        # The first copy lies where the event's time says, or in the lowest pane that was open then.
        first = np.maximum(placed.events, oldest)
        late = np.flatnonzero((first < placed.panes) & ~copies)
        if len(late):
            copies[late] = self._late(
                [ids[place] for place in late.tolist()], first[late], placed.panes[late]
            )
        told = [place for place in told if not copies[place]]
        if told:
            self._twins(answers, placed.panes, oldest, (told, copies))
        return copies

    def oldest(self, lowest: int) -> int:
        """The oldest pane that is remembered at a record whose lowest open pane is this one."""
        oldest, held = lowest - self._remembered, 0
        for number in sorted(self._numbers(), reverse=True):
            if oldest <= number < lowest:
                held += len(self._open.get(number) or self.packed.get(number) or ())
                if held > self._most:
                    return number + 1
        return oldest

    def pack(self, floor: int) -> None:
        """Pack the panes below the floor: no call comes to them any more."""
        for number in [number for number in self._open if number < floor]:
            self.packed[number] = Packed.of(self._open.pop(number))

    def forget(self, lowest: int) -> None:
        """Forget what is not asked for from a record on whose lowest open pane is this one."""
        oldest, due = self.oldest(lowest), lowest - self._remembered
        for number in [number for number in self.packed if number < oldest]:
            gone = self.packed.pop(number)
            self.forgotten += len(gone) if number >= due else 0

    def _numbers(self) -> set[int]:
        return self._open.keys() | self.packed.keys()

    def _add(self, pane: int, name: str) -> bool:
        known = self._open.get(pane)
        if known is None:
            known = self._open[pane] = Open()
        copy = name in known.ids
        known.ids.add(name)
        return copy

    def _late(self, ids: Sequence[str], first: Ints, panes: Ints) -> Flags:
        """For each id: whether it is in a pane from `first` up to, not including, its own."""
        found = np.zeros(len(ids), np.bool_)
        hashed = keys(ids)
        lowest, highest = first.min(), panes.max()
        for number in [number for number in self._numbers() if lowest <= number < highest]:
            places = np.flatnonzero((first <= number) & (number < panes) & ~found)
            if len(places) and number in self.packed:
                found[places] = self.packed[number].holds(hashed[places])
            elif len(places):
                found[places] = [ids[place] in self._open[number].ids for place in places.tolist()]
        return found

    def _twins(
        self,
        answers: Sequence[Answer | None],
        panes: Ints,
        oldest: Ints,
        told: tuple[list[int], Flags],
    ) -> None:
        """Mark the twins among the told places in the flags; remember the answers of the others."""
        places, copies = told
        mine = [answer for place in places if (answer := answers[place])]
        # A call lies no earlier than its end says, and a twin's end no earlier than this one's start.
        starts = (np.array([answer.start for answer in mine], np.int64) - SLACK) // self._pane_us
        since = np.maximum(starts, oldest[places])
        found = self._packed_twins(mine, since).tolist()
        numbers = sorted(self._open, reverse=True)
        for place, answer, twin, pane, low in zip(
            places, mine, found, panes[places].tolist(), since.tolist(), strict=True
        ):
            if twin or self._open_twin(answer, numbers, low):
                copies[place] = True
            else:
                self._open[pane].note(answer)

    def _open_twin(self, answer: Answer, numbers: Sequence[int], low: int) -> bool:
        for number in numbers:
            if number < low:
                return False
            for other in self._open[number].answers.get(answer.id, ()):
                if answer.twin(other):
                    return True
        return False

    def _packed_twins(self, answers: Sequence[Answer], since: Ints) -> Flags:
        found = np.zeros(len(answers), np.bool_)
        asked = np.flatnonzero(since <= max(self.packed, default=NEVER))
        if not len(asked):
            return found
        lowest = since.min()
        few = [answers[place] for place in asked.tolist()]
        hashed = keys([answer.id for answer in few])
        numbers = np.array([answer[1:] for answer in few], np.int64).T
        for number, packed in self.packed.items():
            if number >= lowest:
                at = np.flatnonzero(since[asked] <= number)
                found[asked[at]] |= packed.twins(hashed[at], numbers[:, at])
        return found


def keys(ids: Iterable[str]) -> Keys:
    """128 bits of each id."""
    return np.frombuffer(b"".join(map(_digest, ids)), _KEY)


def _digest(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest()


def _at(known: Keys, places: Ints, wanted: Keys) -> Flags:
    """Whether the wanted key is at its place."""
    if not len(known):
        return np.zeros(len(wanted), np.bool_)
    there: Flags = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == wanted)
    return there
