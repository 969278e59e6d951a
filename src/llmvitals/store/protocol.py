"""Which store the settings mean, and what every store can do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmvitals.errors import SinkError
from llmvitals.stage import Sink
from llmvitals.store.influx.writer import InfluxWriter
from llmvitals.store.sqlite.writer import SqliteWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings


Store = Sink
"""A sink for points: `take` returns when they are stored, or refused for what they are and counted."""


def store(settings: Settings, *, meters: Meters | None = None) -> Store | None:
    """InfluxDB, SQLite, both or none, as the settings name them."""
    found: list[Store] = []
    if settings.influx_url:
        found.append(InfluxWriter(settings, meters=meters))
    if settings.sqlite is not None:
        found.append(SqliteWriter(settings, meters=meters))
    return Both(*found) if len(found) > 1 else found[0] if found else None


class Both(Sink):
    """Two stores as one: a batch is done when both have it."""

    def __init__(self, first: Store, second: Store) -> None:
        self._stores = (first, second)
        self._taken: Sequence[Record] | None = None
        self._missing: Sequence[Store] = ()

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Get both ready."""
        for one in self._stores:
            await one.start(history)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write to both at once; if the same records come again, only to the one that has not got them."""
        if records is not self._taken:
            self._taken, self._missing = records, self._stores
        stores = self._missing
        ends = await asyncio.gather(*(one.take(partition, records) for one in stores), return_exceptions=True)
        failed = {one: end for one, end in zip(stores, ends, strict=True) if isinstance(end, BaseException)}
        self._missing = [*failed]
        if failed:
            raise _together([*failed.values()])
        self._taken = None
        return []

    async def needs(self, partition: int) -> int | None:
        """The least that one of them needs."""
        found = [await one.needs(partition) for one in self._stores]
        return min((offset for offset in found if offset is not None), default=None)

    async def stop(self) -> None:
        """Give everything back."""
        for one in self._stores:
            await one.stop()


def _together(errors: Sequence[BaseException]) -> BaseException:
    """One error that says what all of them say."""
    for error in errors:
        if not (isinstance(error, SinkError) and error.retry):
            return error
    sinks = [error for error in errors if isinstance(error, SinkError)]
    asked = max(error.retry_after or 0.0 for error in sinks)
    return SinkError("; ".join(map(str, sinks)), retry=True, retry_after=asked or None)
