"""All points of a measurement that a store holds, the same from InfluxDB and from SQLite."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmvitals.errors import ConfigError, SinkError
from llmvitals.metrics.columns import COUNTS, TEXTS
from llmvitals.metrics.registry import measures
from llmvitals.store.influx import flux
from llmvitals.store.sqlite.writer import BUSY, failure

if TYPE_CHECKING:
    from pathlib import Path

    from llmvitals.settings import Settings

Stored = tuple[int, dict[str, str], dict[str, Any]]
"""Start in µs, tags (perhaps without view and window), fields; what a point lacks is None or not there."""


async def stored(settings: Settings, measurement: str, since: int, until: int) -> list[Stored]:
    """Everything with since ≤ start < until (µs), from InfluxDB where one is set, else from SQLite.

    Raises ConfigError where no store is set, SinkError when the store says no.
    """
    if settings.influx_url:
        return await flux.points(settings, flux.whole(settings.influx_bucket, measurement, since, until))
    if settings.sqlite is not None:
        return await asyncio.to_thread(_rows, settings.sqlite, measurement, since, until)
    raise ConfigError("No store is set: set LLMVITALS_SQLITE or LLMVITALS_INFLUX_URL (see `config show`)")


def _rows(path: Path, measurement: str, since: int, until: int) -> list[Stored]:
    if not path.exists():
        raise SinkError(f"SQLite file {path}: it is not there yet; a worker makes it", retry=True)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as store:
            there = {column for _, column, *_ in store.execute(f'PRAGMA table_info("{measurement}")')}
            if not there:
                return []
            known = (*COUNTS[measurement], *measures(measurement), *TEXTS[measurement])
            names = [name for name in known if name in there]
            columns = "".join(f', "{name}"' for name in names)
            found = store.execute(
                f'SELECT "start", "tags"{columns} FROM "{measurement}" WHERE "start" >= ? AND "start" < ?',  # noqa: S608 - the names are record/columns' own
                (since, until),
            )
            return [
                (start, json.loads(tags), dict(zip(names, values, strict=True)))
                for start, tags, *values in found
            ]
    except sqlite3.Error as error:
        raise failure(error, path) from error
