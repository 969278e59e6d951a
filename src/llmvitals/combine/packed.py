"""The ids of one pane: open, while calls may come to it, and packed, once it is sealed."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.answers import MOST, SLACK, Answer

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.bytes_]

KEY: Final = np.dtype("S16")
_ANSWER: Final = np.dtype([("key", KEY), ("start", "<i8"), ("end", "<i8"), ("by", "<i8")])


def digest(name: str) -> bytes:
    """128 bits of BLAKE2b, in the place of an id: that two of 10⁹ ids share them has a chance of 10⁻²¹."""
    return blake2b(name.encode(errors="surrogatepass"), digest_size=16).digest()


def keys(digests: Iterable[bytes]) -> Keys:
    """Digests as an array."""
    return np.frombuffer(b"".join(digests), KEY)


class Open:
    """The ids of a pane that is not sealed: digests of the calls' ids, and answers by response id."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
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

    data: the same as bytes, for the checkpoint; the arrays are views of it. ids: the calls', sorted.
    """

    def __init__(self, data: bytes) -> None:
        ids, answers = msgspec.msgpack.decode(data, type=tuple[memoryview, memoryview])
        self.data = data
        self.ids: Keys = np.frombuffer(ids, KEY)
        self._answers: NDArray[Any] = np.frombuffer(answers, _ANSWER)
        self._keys: Keys = np.ascontiguousarray(self._answers["key"])

    @classmethod
    def of(cls, pane: Open) -> Self:
        """Pack a pane that closed. The bytes depend on what is in it only."""
        told = [(digest(one.id), *one[1:]) for known in pane.answers.values() for one in known]
        answers = np.array(sorted(told), _ANSWER)
        return cls(msgspec.msgpack.encode((np.sort(keys(pane.ids)).tobytes(), answers.tobytes())))

    def __len__(self) -> int:
        return len(self.ids) + len(self._answers)

    def holds(self, ids: Keys) -> Flags:
        """For each of these keys: whether a call of that id is here."""
        return _at(self.ids, np.searchsorted(self.ids, ids), ids)

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


def _at(known: Keys, places: Ints, wanted: Keys) -> Flags:
    """Whether the wanted key is at its place."""
    if not len(known):
        return np.zeros(len(wanted), np.bool_)
    there: Flags = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == wanted)
    return there
