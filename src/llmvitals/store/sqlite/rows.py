"""A request as SQL for the embedded store, and its answer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from llmvitals.errors import SinkError
from llmvitals.store.question import Sample
from llmvitals.store.sqlite.writer import BUSY, failure

if TYPE_CHECKING:
    from llmvitals.store.question import Request


async def read(path: Path, request: Request) -> list[Sample]:
    """The samples that the file has, in no order. Raises SinkError with what to fix."""
    return await asyncio.to_thread(_read, path, request)


def _read(path: Path, request: Request) -> list[Sample]:
    if not path.exists():
        raise SinkError(f"SQLite file {path}: it is not there yet; a worker makes it", retry=True)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as store:
            return _samples(store, request)
    except sqlite3.Error as error:
        raise failure(error, path) from error


def _samples(store: sqlite3.Connection, request: Request) -> list[Sample]:
    there = {column for _, column, *_ in store.execute(f'PRAGMA table_info("{request.measurement}")')}
    fields = [name for name in request.fields if name in there]
    if not fields:
        return []
    columns = "".join(f', "{name}"' for name in fields)
    place = {name: value for name in ("view", "window") if (value := getattr(request, name))}
    where = "".join(f' AND "{name}" = ?' for name in place)
    where += ' AND EXISTS (SELECT 1 FROM json_each("tags") WHERE key = ? AND value = ?)' * len(request.where)
    found = store.execute(
        f'SELECT "start", "tags"{columns} FROM "{request.measurement}" '  # noqa: S608 - the names are METRICS' own
        f'WHERE "start" >= ? AND "start" < ?{where}',
        [request.since, request.until, *place.values(), *chain.from_iterable(request.where.items())],
    )
    samples = []
    for start, tags, *values in found:
        present = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
        if present:
            samples.append(Sample(start, json.loads(tags), present))
    return samples
