"""Which stores there are, and which of them the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.errors import ConfigError
from llmvitals.store.influx.store import InfluxStore
from llmvitals.store.several import SeveralStores
from llmvitals.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from llmvitals.meters import Meters
    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Store

STORES: Final[dict[str, type[Store]]] = {
    "influx": InfluxStore,
    "sqlite": SqliteStore,
}
"""Name → store. Where several are configured, all are written and the first is read."""


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
