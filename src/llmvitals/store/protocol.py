"""What a store can do: take points, give them back, and say how it is.

A new store is a subclass of `Store` and one line in `registry.STORES`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from llmvitals.stage import Sink
from llmvitals.store.question import Number, Request
from llmvitals.window import MINUTE, SECOND, window_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings
    from llmvitals.store.question import Sample

_LOOKED_BACK: Final = 10
"""Minutes that the doctor reads."""


class StoredPoint(NamedTuple):
    """One point of a measurement.

    start: µs. tags: `view` and `window` may be missing. fields: without those that the point lacks.
    """

    start: int
    tags: Mapping[str, str]
    fields: Mapping[str, Number | str]


@dataclass(frozen=True, slots=True)
class Check:
    """What the doctor says of a store: its state, what was found, and what to do if it is not fine."""

    state: Literal["fine", "warning", "wrong"]
    found: str
    cure: str = ""


class Store(Sink):
    """A sink for the points of the vitals topic, and the place that commands read them from.

    `start`, `take`, `needs`, `health` and `stop` are those of `stage.Sink`: the worker calls them. Commands
    call `exists`, `samples`, `points` and `check` of a store that was not started.
    """

    @abstractmethod
    def __init__(self, settings: Settings, *, meters: Meters | None = None) -> None:
        """Raises ConfigError when the settings of this store are wrong. meters: count what is written."""

    @classmethod
    @abstractmethod
    def is_configured(cls, settings: Settings) -> bool:
        """Whether the settings name this store."""

    @property
    @abstractmethod
    def place(self) -> str:
        """What people call it, such as `InfluxDB at http://localhost:8086`."""

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Get ready to write; the store itself need not be up. history: None for a sink of points."""
        del history

    @abstractmethod
    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write points. Returns [] when all of them are stored, or set aside and counted.

        Raises SinkError (retry) when the store can't be written now; the same records may be taken again.
        """

    def exists(self) -> bool:
        """Whether there is a store to read; False until a worker has made it."""
        return True

    @abstractmethod
    async def samples(self, request: Request) -> list[Sample]:
        """The fields of the request, in no order. Raises SinkError that says what to fix."""

    @abstractmethod
    async def points(self, measurement: str, since: int, until: int) -> list[StoredPoint]:
        """All points of a measurement with since ≤ start < until (µs), in no order. Raises SinkError."""

    async def check(self) -> Check:
        """Whether it can be read and written, and what to do if not. Nothing is written.

        Raises SinkError that says what to fix. This one reads the last minutes; stores add how they are
        written.
        """
        now = time.time_ns() // 1_000
        since = window_start(now - _LOOKED_BACK * MINUTE, MINUTE)
        found = await self.samples(Request("all", "1m", since, now + SECOND, ("calls",), {}))
        return Check(
            "fine", f"{self.place} answers; it has {len(found)} minutes of the last {_LOOKED_BACK} minutes"
        )
