"""Points → SQLite: one table per measurement, one row per series, window and start."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog

from llmvitals.errors import ConfigError, SinkError
from llmvitals.metrics.columns import COUNTS, TEXTS
from llmvitals.metrics.registry import measures
from llmvitals.record.log import Topic
from llmvitals.store.points import Counts, Newest
from llmvitals.store.protocol import Check, Store
from llmvitals.store.sqlite import files, reader
from llmvitals.store.sqlite.files import BUSY, failure
from llmvitals.store.sqlite.rows import row, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmvitals.meters import Meters
    from llmvitals.record.log import Message, Record
    from llmvitals.settings import Settings
    from llmvitals.store.points import Shape
    from llmvitals.store.protocol import StoredPoint
    from llmvitals.store.question import Request, Sample
    from llmvitals.store.sqlite.rows import Row

log: Final = structlog.get_logger(__name__)

_KEY: Final = '"view" TEXT NOT NULL, "window" TEXT NOT NULL, "start" INTEGER NOT NULL, "tags" TEXT NOT NULL'

PROGRESS: Final = "llmvitals_progress"
"""The table that says up to which offset of the vitals topic this file holds the points.

It is written in the transaction of the points, so a file that was deleted, replaced or restored from a backup
says itself from where it has to be written again; offsets committed to Kafka say nothing about the file.
"""


class SqliteStore(Store):
    """A sink: `take` returns when the batch is committed. Readable while it is written (WAL).

    A table has the columns `view`, `window`, `start` (µs), `tags` (the dimensions as JSON with sorted keys),
    `upto`, and the measurement's fields. One transaction per batch; counts: what became of the points.
    """

    def __init__(self, settings: Settings, *, meters: Meters | None = None) -> None:
        """Raises ConfigError when `sqlite` is not set."""
        if settings.sqlite is None:
            raise ConfigError("sqlite is not set: name the file that shall hold the metrics")
        self._path, self._topic = settings.sqlite, settings.topic(Topic.VITALS)
        self._connection: sqlite3.Connection | None = None
        self._files: files.Files | None = None
        self._progress: dict[int, int] = {}
        """Partition → the offset up to which the file was seen to hold it."""
        self._columns: dict[str, set[str]] = {}
        # A cancelled `take` leaves its thread running; the next one waits for it here.
        self._turn = threading.Lock()
        self.counts = Counts(meters)
        self._newest = Newest(self.counts, row)

    @classmethod
    def is_configured(cls, settings: Settings) -> bool:
        """Whether `sqlite` is set."""
        return settings.sqlite is not None

    @property
    def place(self) -> str:
        """Its path."""
        return f"SQLite file {self._path}"

    async def needs(self, partition: int) -> int:
        """The offset up to which the file at the path holds this partition; 0 for a new file.

        Opens that file if the one that was written to is no longer there. Raises SinkError as `take` does.
        """
        return await asyncio.to_thread(self._needs, partition)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Message]:
        """Write the newest point of each place, all of them or none; nothing is to be sent.

        Raises SinkError(retry=True) with what to fix.
        """
        points = await asyncio.to_thread(self._newest.of, records)
        if records:
            rows = [made for _, made in points.values()]
            await asyncio.to_thread(self._write, rows, partition, records[-1].offset + 1)
            self.counts.written += len(points)
        self._newest.remember(points)
        return []

    async def stop(self) -> None:
        """Close the file, after what is being written."""
        await asyncio.to_thread(self._close)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    async def samples(self, request: Request) -> list[Sample]:
        """Raises SinkError as `take` does, and when the file is not there."""
        return await asyncio.to_thread(reader.samples, self._path, request)

    async def points(self, measurement: str, since: int, until: int) -> list[StoredPoint]:
        """Raises SinkError as `take` does, and when the file is not there."""
        return await asyncio.to_thread(reader.points, self._path, measurement, since, until)

    async def check(self) -> Check:
        """Look at the permissions and the free space, then read the last minutes."""
        if found := files.check(self._path):
            return found
        if not self.exists():
            return Check("fine", f"{self._path} will be made by the worker")
        return await super().check()

    def _needs(self, partition: int) -> int:
        with self._attempt() as connection:
            held = self._held(connection, partition)
        if held < self._progress.get(partition, 0):
            # What was written before is not in this file, so older states of a point are welcome again.
            self._newest.forget()
        self._progress[partition] = held
        return held

    def _write(self, rows: Iterable[Row], partition: int, end: int) -> None:
        """end: the offset up to which the file holds the partition with these rows."""
        groups: dict[Shape, list[tuple[object, ...]]] = {}
        for shape, values in rows:
            groups.setdefault(shape, []).append(values)
        with self._attempt() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._advance(connection, partition, end)
            for shape, group in groups.items():
                self._upsert(connection, shape, group)
            connection.execute("COMMIT")
            if files.at(self._path) != self._files:
                raise SinkError(
                    f"SQLite file {self._path}: it was deleted or replaced while it was written", retry=True
                )
        self._progress[partition] = end

    @contextmanager
    def _attempt(self) -> Iterator[sqlite3.Connection]:
        """The connection to the file at the path. Raises SinkError(retry=True) for what SQLite raises."""
        with self._turn:
            try:
                yield self._open()
            except BaseException as error:
                # After a full disk a connection's state is not to be trusted: the next attempt opens anew.
                self._drop()
                if isinstance(error, sqlite3.Error | OSError):
                    self.counts.fail(getattr(error, "sqlite_errorname", type(error).__name__))
                    raise failure(error, self._path) from error
                raise

    def _open(self) -> sqlite3.Connection:
        there = files.at(self._path)
        if self._connection is not None and there != self._files:
            self._leave(there)
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{PROGRESS}" ("topic" TEXT NOT NULL, '
                '"partition" INTEGER NOT NULL, "next" INTEGER NOT NULL, PRIMARY KEY ("topic", "partition"))'
            )
            self._files = files.at(self._path)
            if self._files.main is None or there.main not in (None, self._files.main):
                raise SinkError(f"SQLite file {self._path}: it was replaced while it was opened", retry=True)
        return self._connection

    def _leave(self, there: files.Files) -> None:
        """Let go of the file that was written to, since the path has another one now, or none."""
        log.warning(
            "the SQLite file was deleted or replaced; what is at its path now is opened", path=str(self._path)
        )
        gone = self._files
        if gone is None or gone.main == there.main:
            self._drop()
            return
        if self._connection is not None:
            # A file that was only moved is then whole without its WAL.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._drop()
        files.remove_orphans(self._path, gone)

    def _held(self, connection: sqlite3.Connection, partition: int) -> int:
        found = connection.execute(
            f'SELECT "next" FROM "{PROGRESS}" WHERE "topic" = ? AND "partition" = ?',  # noqa: S608 - a name of ours
            (self._topic, partition),
        ).fetchone()
        return int(found[0]) if found else 0

    def _advance(self, connection: sqlite3.Connection, partition: int, end: int) -> None:
        """Note in the file that it holds the partition up to `end`.

        Raises SinkError when the file is not as it was found before, since records would be missing in it.
        """
        held = self._held(connection, partition)
        if self._progress.get(partition, held) != held:
            raise SinkError(
                f"SQLite file {self._path}: it was replaced, or another process has written to it", retry=True
            )
        noted = f'INSERT OR REPLACE INTO "{PROGRESS}" VALUES (?, ?, ?)'  # noqa: S608 - a name of ours
        connection.execute(noted, (self._topic, partition, end))

    def _upsert(self, connection: sqlite3.Connection, shape: Shape, rows: list[tuple[object, ...]]) -> None:
        self._prepare(connection, shape)
        connection.executemany(upsert(shape), rows)

    def _prepare(self, connection: sqlite3.Connection, shape: Shape) -> None:
        """The table with all the columns that points of this shape need."""
        name = shape.measurement
        known = self._columns.get(name)
        if known is None:
            columns = [f'"{column}" {kind}' for column, kind in _declared(name)]
            connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{name}" ({", ".join([_KEY, *columns])}, '
                'PRIMARY KEY ("view", "window", "start", "tags"))'
            )
            known = {column for _, column, *_ in connection.execute(f'PRAGMA table_info("{name}")')}
        kinds = ((shape.counts, "INTEGER"), (shape.measures, "REAL"), (shape.texts, "TEXT"))
        for column, kind in ((column, kind) for columns, kind in kinds for column in columns):
            if column not in known:
                connection.execute(f'ALTER TABLE "{name}" ADD COLUMN "{column}" {kind}')
                known.add(column)
        self._columns[name] = known

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error), closing(self._connection):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        self._connection = self._files = None
        self._columns.clear()

    def _close(self) -> None:
        with self._turn:
            self._drop()


def _declared(measurement: str) -> list[tuple[str, str]]:
    kinds = (
        (COUNTS.get(measurement, ()), "INTEGER"),
        (measures(measurement), "REAL"),
        (TEXTS.get(measurement, ()), "TEXT"),
    )
    named = [(name, kind) for names, kind in kinds for name in names]
    return [("upto", "INTEGER NOT NULL"), *named]
