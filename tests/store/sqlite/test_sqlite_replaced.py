"""The SQLite file is deleted, moved, replaced or restored while the sink runs: it holds everything again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvitals.errors import SinkError
from llmvitals.record.log import Logged
from llmvitals.settings import Settings
from llmvitals.store.sqlite.store import SqliteStore
from store_points import START, point, records

Rows = list[tuple[Any, ...]]
LOG = [
    Logged(at, 0, record.value)
    for at, record in enumerate(
        records(point(start=START + n % 7, counts={"calls": n}, upto=n) for n in range(60))
    )
]
"""Points of 7 places, each newer than the one before."""


def found(path: Path) -> Rows:
    """What a reader sees: SQLite says itself whether the file is sound."""
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return reader.execute("SELECT start, calls, upto FROM llm_calls ORDER BY start").fetchall()


def expected(upto: int) -> Rows:
    """Brute force: the newest of each place among the first records."""
    newest = {START + n % 7: (START + n % 7, n, n) for n in range(upto)}
    return sorted(newest.values())


class Reader:
    """What `kafka.pour` does, without Kafka: gives what the store lacks, from the log."""

    def __init__(self, path: Path) -> None:
        self.writer, self.stored = SqliteStore(Settings(sqlite=path)), 0

    async def read(self, upto: int) -> None:
        """Until the store has the log up to here."""
        while True:
            held = await self.writer.needs(0)
            self.stored = min(self.stored, held)
            if self.stored >= upto:
                return
            end = min(self.stored + 4, upto)
            await self.writer.take(0, LOG[self.stored : end])
            self.stored = end


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for name in path.parent.glob(f"{path.name}*"):
        name.unlink()


def delete_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def delete_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.sqlite"))


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()


def other(path: Path) -> None:
    new = path.with_name("new")
    with closing(sqlite3.connect(new)) as made:
        made.execute("CREATE TABLE something (else_ TEXT)")
        made.commit()
    new.replace(path)


def empty(path: Path) -> None:
    path.with_name("new").touch()
    path.with_name("new").replace(path)


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere.sqlite"))


def spoil(path: Path, what: str) -> None:
    """Put something at the path that can be no store."""
    if what == "gone":
        path.parent.rename(path.parent.with_name("moved"))
        return
    path.unlink()
    if what == "folder":
        path.mkdir()
    else:
        path.write_text("this is no database " * 100)


def mend(path: Path, what: str) -> None:
    """Take it away."""
    if what == "gone":
        path.parent.mkdir()
    elif what == "folder":
        path.rmdir()
    else:
        path.unlink()


def backup(path: Path, kept: Path) -> None:
    """A backup as SQLite makes it, if there is a sound file to be had."""
    if not path.exists():
        return
    kept.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(kept)) as target:
            source.backup(target)
    except sqlite3.OperationalError:  # its WAL is gone
        kept.unlink(missing_ok=True)


def restore(path: Path, kept: Path) -> None:
    """The backup instead of what is there."""
    if kept.exists():
        shutil.copy(kept, path.with_name("copy"))
        path.with_name("copy").replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "vitals.sqlite"


@pytest.mark.parametrize(
    "harm", [delete, delete_all, delete_wal, delete_index, move, move_folder, other, empty, linked]
)
@pytest.mark.parametrize("idle", [True, False])
async def test_the_file_at_the_path_holds_everything_again(
    path: Path, harm: Callable[[Path], None], idle: bool
) -> None:
    reader = Reader(path)
    await reader.read(40)
    harm(path)
    await reader.read(40 if idle else 60)
    assert found(path) == expected(40 if idle else 60)
    await reader.read(60)
    assert found(path) == expected(60)
    await reader.writer.stop()
    assert found(path) == expected(60)


async def test_a_file_that_was_moved_away_is_whole(path: Path) -> None:
    reader = Reader(path)
    await reader.read(40)
    move(path)
    await reader.read(60)
    assert found(path.with_name("moved.sqlite")) == expected(40)
    await reader.writer.stop()


async def test_a_backup_is_completed_from_where_it_ends(path: Path) -> None:
    reader, kept = Reader(path), path.with_name("backup")
    await reader.read(20)
    backup(path, kept)
    await reader.read(40)
    restore(path, kept)
    assert await reader.writer.needs(0) == 20
    await reader.read(60)
    await reader.writer.stop()
    assert found(path) == expected(60)


async def test_a_file_that_was_deleted_while_no_worker_ran_is_written_again(path: Path) -> None:
    first = Reader(path)
    await first.read(40)
    await first.writer.stop()
    delete(path)
    second = Reader(path)
    second.stored = 40  # by the offset that was committed
    await second.read(60)
    await second.writer.stop()
    assert found(path) == expected(60)


@pytest.mark.parametrize(
    ("what", "why"),
    [("folder", "can't be opened"), ("text", "no sound SQLite file"), ("gone", "create its folder")],
)
async def test_what_is_no_store_is_said_until_it_is_one(path: Path, what: str, why: str) -> None:
    reader = Reader(path)
    await reader.read(40)
    spoil(path, what)
    for _ in range(2):
        with pytest.raises(SinkError, match=why) as refused:
            await reader.read(40)
        assert refused.value.retry
    mend(path, what)
    await reader.read(60)
    await reader.writer.stop()
    assert found(path) == expected(60)


async def test_what_goes_to_a_file_that_vanishes_meanwhile_does_not_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(path)
    await reader.read(40)
    upsert = SqliteStore._upsert

    def deleting(*args: Any) -> None:
        upsert(*args)
        path.unlink(missing_ok=True)

    monkeypatch.setattr(SqliteStore, "_upsert", deleting)
    with pytest.raises(SinkError, match="deleted or replaced while it was written") as lost:
        await reader.read(60)
    assert lost.value.retry
    monkeypatch.undo()
    await reader.read(60)
    await reader.writer.stop()
    assert found(path) == expected(60)


async def test_a_file_that_is_replaced_between_the_look_and_the_writing_is_not_written(path: Path) -> None:
    reader = Reader(path)
    await reader.read(40)
    delete(path)
    with pytest.raises(SinkError, match="replaced"):
        await reader.writer.take(0, LOG[40:44])
    await reader.read(60)
    await reader.writer.stop()
    assert found(path) == expected(60)


STEPS = st.lists(
    st.sampled_from(["read", delete, delete_all, delete_wal, delete_index, move, other, empty, "backup",
                     "restore", "restart"]),
    max_size=14,
)  # fmt: skip


@settings(max_examples=60)
@given(STEPS)
def test_whatever_happens_to_the_file_it_ends_as_brute_force(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_played(Path(folder) / "vitals.sqlite", steps))


async def _played(path: Path, steps: list[Any]) -> None:
    reader, upto, kept = Reader(path), 8, path.with_name("backup")
    await reader.read(upto)
    for step in [*steps, "read"]:
        if step == "read":
            upto = min(upto + 4, len(LOG))
            await reader.read(upto)
            assert found(path) == expected(upto)
        elif step == "backup":
            backup(path, kept)
        elif step == "restore":
            restore(path, kept)
        elif step == "restart":
            await reader.writer.stop()
            stored, reader = reader.stored, Reader(path)
            reader.stored = stored
        else:
            with suppress(FileNotFoundError):
                step(path)
    await reader.writer.stop()
