"""Reads the points of a SQLite file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from llmvitals.errors import SinkError
from llmvitals.metrics.columns import COUNTS, TEXTS
from llmvitals.metrics.registry import measures
from llmvitals.store.protocol import StoredPoint
from llmvitals.store.question import Sample
from llmvitals.store.sqlite.files import BUSY, failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from llmvitals.store.question import Request


def samples(path: Path, request: Request) -> list[Sample]:
    """See `Store.samples`."""
    place = {name: value for name, value in (("view", request.view), ("window", request.window)) if value}
    where = "".join(f' AND "{name}" = ?' for name in place)
    where += ' AND EXISTS (SELECT 1 FROM json_each("tags") WHERE key = ? AND value = ?)' * len(request.where)
    bound = (*place.values(), *chain.from_iterable(request.where.items()))
    span = request.since, request.until
    found = _rows(path, request.measurement, request.fields, span, where=where, bound=bound)
    return [Sample(start, tags, values) for start, tags, values in found if values]


def points(path: Path, measurement: str, since: int, until: int) -> list[StoredPoint]:
    """See `Store.points`."""
    known = (*COUNTS.get(measurement, ()), *measures(measurement), *TEXTS.get(measurement, ()))
    return [StoredPoint(*row) for row in _rows(path, measurement, known, (since, until))]


def _rows(
    path: Path,
    measurement: str,
    wanted: Sequence[str],
    span: tuple[int, int],
    *,
    where: str = "",
    bound: Sequence[str] = (),
) -> list[tuple[int, dict[str, str], dict[str, Any]]]:
    """Start, tags and those of the wanted fields that a point has, of the points in a span.

    where: further conditions, in SQL; bound: the values of its placeholders.
    """
    with _opened(path) as file:
        fields = _present(file, measurement, wanted)
        if not fields:
            return []
        columns = "".join(f', "{name}"' for name in fields)
        rows = file.execute(
            f'SELECT "start", "tags"{columns} FROM "{measurement}" '  # noqa: S608 - names of the registry
            f'WHERE "start" >= ? AND "start" < ?{where}',
            [*span, *bound],
        )
        return [(start, json.loads(tags), _values(fields, values)) for start, tags, *values in rows]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, read only. Raises SinkError that says what to fix."""
    if not path.exists():
        raise SinkError(f"SQLite file {path}: it is not there yet; a worker makes it", retry=True)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as file:
            yield file
    except sqlite3.Error as error:
        raise failure(error, path) from error


def _present(file: sqlite3.Connection, measurement: str, fields: Sequence[str]) -> list[str]:
    """Those of the fields that the table has."""
    there = {column for _, column, *_ in file.execute(f'PRAGMA table_info("{measurement}")')}
    return [name for name in fields if name in there]


def _values(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Field → value, without those that a point lacks."""
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
