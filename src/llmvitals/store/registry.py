"""Which stores there are, which of them the settings name, and how several are written as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmvitals.errors import ConfigError, SinkError
from llmvitals.stage import Sink
from llmvitals.store.influx.store import InfluxStore
from llmvitals.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Store

STORES: Final[dict[str, type[Store]]] = {
    "influx": InfluxStore,
    "sqlite": SqliteStore,
}
"""Name → store. Where several are configured, all are written and the first is read."""


class SeveralStores(Sink):
    """A sink that writes each batch to all of its stores; the batch is done when all of them have it."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = tuple(stores)
        self._batch: Sequence[Record] | None = None
        self._missing: Sequence[Store] = ()
        """The stores that do not have the batch yet."""

    async def start(self, history: Sequence[Record] | None = None) -> None:
        """Start all stores."""
        for store in self.stores:
            await store.start(history)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write to all stores at once; if the same records come again, only to those that lack them.

        Raises one SinkError (retry) that names every store which can't be written now.
        """
        if records is not self._batch:
            self._batch, self._missing = records, self.stores
        stores = self._missing
        results = await asyncio.gather(
            *(store.take(partition, records) for store in stores), return_exceptions=True
        )
        failed = {
            store: result
            for store, result in zip(stores, results, strict=True)
            if isinstance(result, BaseException)
        }
        self._missing = [*failed]
        if failed:
            raise _joined([*failed.values()])
        self._batch = None
        return []

    async def needs(self, partition: int) -> int | None:
        """The least offset that one of the stores needs."""
        offsets = [await store.needs(partition) for store in self.stores]
        return min((offset for offset in offsets if offset is not None), default=None)

    def health(self) -> str | None:
        """What is wrong with each of the stores."""
        return "; ".join(filter(None, (store.health() for store in self.stores))) or None

    async def stop(self) -> None:
        """Stop all stores."""
        for store in self.stores:
            await store.stop()


def _joined(errors: Sequence[BaseException]) -> BaseException:
    """One error with the messages of all; the first one that can't be retried comes before the others."""
    if len(errors) == 1:
        return errors[0]
    for error in errors:
        if not (isinstance(error, SinkError) and error.retry):
            return error
    sinks = [error for error in errors if isinstance(error, SinkError)]
    asked = max(error.retry_after or 0.0 for error in sinks)
    return SinkError("; ".join(map(str, sinks)), retry=True, retry_after=asked or None)


def configured(settings: Settings, *, meters: Meters | None = None) -> list[Store]:
    """The stores that the settings name, in the order of STORES. Raises ConfigError for a wrong setting."""
    return [kind(settings, meters=meters) for kind in STORES.values() if kind.is_configured(settings)]


def store_sink(settings: Settings, *, meters: Meters | None = None) -> SeveralStores | None:
    """The sink that writes to all configured stores; None where there are none. Raises ConfigError."""
    stores = configured(settings, meters=meters)
    return SeveralStores(stores) if stores else None


def store_reader(settings: Settings) -> Store:
    """The store that commands read: the first configured one. Raises ConfigError where there is none."""
    stores = configured(settings)
    if not stores:
        raise ConfigError("No store is set: set LLMVITALS_SQLITE or LLMVITALS_INFLUX_URL (see `config show`)")
    return stores[0]
