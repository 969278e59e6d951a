"""Which store the settings mean, and what every store can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmvitals.write.influx import InfluxWriter
from llmvitals.write.sqlite import SqliteWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings
    from llmvitals.write.newest import Counts


class Store(Protocol):
    """A sink for points."""

    counts: Counts

    async def start(self, history: Sequence[Record] = ()) -> None:
        """Get ready; the store itself need not be up."""

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Returns when the points are stored, or set aside and counted; goes on trying until cancelled."""

    async def close(self) -> None:
        """Give everything back."""

    def health(self) -> str | None:
        """Why it does not get on, or None."""


def store(settings: Settings) -> Store | None:
    """InfluxDB where one is set, else SQLite where a file is set, else none."""
    if settings.influx_url:
        return InfluxWriter(settings)
    return SqliteWriter(settings) if settings.sqlite is not None else None
