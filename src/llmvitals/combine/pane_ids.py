"""The ids of the calls of one pane: while it may get more calls, and packed after that."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.combine.response_ids import MOST, SLACK, ResponseReport

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Keys = NDArray[np.bytes_]

_KEY: Final = np.dtype("S16")
_START: Final = blake2b(digest_size=16)
_RESPONSE: Final = np.dtype([("key", _KEY), ("start", "<i8"), ("end", "<i8"), ("by", "<i8")])


class OpenIds:
    """The ids of a pane that may get more calls. responses: the reports by response id.

    ids: of calls, and the names that spans leave (see `SpanLink.told_by`).
    """

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


def keys(ids: Iterable[str]) -> Keys:
    """Hash each id to 128 bits."""
    return np.frombuffer(b"".join(map(_digest, ids)), _KEY)


def _digest(name: str) -> bytes:
    state = _START.copy()  # takes half the time of a new one with its settings
    state.update(name.encode("utf-8", "surrogatepass"))
    return state.digest()


def _contains_at(known: Keys, places: Ints, wanted: Keys) -> Flags:
    """For each wanted key: whether `known` has it at this place."""
    if not len(known):
        return np.zeros(len(wanted), np.bool_)
    there: Flags = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == wanted)
    return there
