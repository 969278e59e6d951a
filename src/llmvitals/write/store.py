"""Which store the settings mean, and what every store can do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from llmvitals.write.influx import InfluxWriter
from llmvitals.write.sqlite import SqliteWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings


class Store(Protocol):
    """A sink for points."""

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Get ready; the store itself need not be up."""

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Returns when the points are stored, or set aside and counted; goes on trying until cancelled."""

    async def idle(self) -> None:
        """Nothing waits here."""

    async def stop(self) -> None:
        """Give everything back."""

    def health(self) -> str | None:
        """Why it does not get on, or None."""


def store(settings: Settings) -> Store | None:
    """InfluxDB, SQLite, both or none, as the settings name them."""
    found: list[Store] = []
    if settings.influx_url:
        found.append(InfluxWriter(settings))
    if settings.sqlite is not None:
        found.append(SqliteWriter(settings))
    return Both(*found) if len(found) > 1 else found[0] if found else None


class Both:
    """Two stores as one: a batch is done when both have it."""

    def __init__(self, first: Store, second: Store) -> None:
        self._stores = (first, second)

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Get both ready."""
        for one in self._stores:
            await one.start(history)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write to both at once."""
        await asyncio.gather(*(one.take(partition, records) for one in self._stores))
        return []

    async def idle(self) -> None:
        """Nothing waits here."""

    async def stop(self) -> None:
        """Give everything back."""
        for one in self._stores:
            await one.stop()

    def health(self) -> str | None:
        """Why one of them does not get on, or None."""
        return "; ".join(filter(None, (one.health() for one in self._stores))) or None
