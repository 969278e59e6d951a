"""When to look at what again: a heap whose entries may be postponed."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from llmvitals.window import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator

_WASTE: Final = 1_000


class Agenda:
    """Names with the time (µs) at which each is due; a name is there once."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def put(self, name: str, time: int) -> None:
        """Set the time at which a name is due; FOREVER removes it."""
        if time >= FOREVER:
            self._times.pop(name, None)
        elif self._times.get(name) != time:
            self._times[name] = time
            heapq.heappush(self._heap, (time, name))
            if len(self._heap) > 2 * len(self._times) + _WASTE:
                # Outdated entries of names that were postponed often would stay until their time comes.
                self._heap = [(time, name) for name, time in self._times.items()]
                heapq.heapify(self._heap)

    @property
    def next(self) -> int:
        """The time (µs) at which the next name is due; FOREVER: none is."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else FOREVER

    def due(self, now: int, most: int) -> Iterator[str]:
        """Take out the names that are due, the oldest first, at most `most`."""
        while most and self._heap and self._heap[0][0] <= now:
            time, name = heapq.heappop(self._heap)
            if self._times.get(name) == time:
                del self._times[name]
                most -= 1
                yield name
