"""SQLite: rows that overwrite, readable while written, and disks that are full or read-only."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmvitals.errors import ConfigError, SinkError
from llmvitals.metrics.columns import COUNTS, MEASURES
from llmvitals.settings import Settings
from llmvitals.store.points import Shape
from llmvitals.store.sqlite.store import SqliteStore
from store_points import HOUR, START, point, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vitals.sqlite"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(Settings(sqlite=path))
    await made.start()
    yield made
    await made.stop()


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(sql).fetchall()


async def test_a_row_is_a_series_window_and_start_with_the_fields_as_columns(
    path: Path, writer: SqliteStore
) -> None:
    await writer.take(
        0, records([point(), point(start=START + 1), point(window="1d"), point(team="ops", app="é")])
    )
    assert sorted(
        ask(path, "SELECT view, window, start, tags, calls, cost_usd, latency_ms_p95 FROM llm_calls")
    ) == [
        ("team", "1d", START, '{"team":"search"}', 4, 0.25, None),
        ("team", "1h", START, '{"app":"é","team":"ops"}', 4, 0.25, None),
        ("team", "1h", START, '{"team":"search"}', 4, 0.25, None),
        ("team", "1h", START + 1, '{"team":"search"}', 4, 0.25, None),
    ]
    columns = [(name, kind) for _, name, kind, *_ in ask(path, "PRAGMA table_info(llm_calls)")]
    assert columns == [
        ("view", "TEXT"),
        ("window", "TEXT"),
        ("start", "INTEGER"),
        ("tags", "TEXT"),
        ("upto", "INTEGER"),
        *((name, "INTEGER") for name in COUNTS["llm_calls"]),
        *((name, "REAL") for name in MEASURES["llm_calls"]),
    ]


async def test_writing_again_changes_nothing_and_a_newer_state_overwrites(
    path: Path, writer: SqliteStore
) -> None:
    for n, upto in ((1, 1), (1, 1), (5, 5), (3, 3)):
        await writer.take(0, records([point(counts={"calls": n}, upto=upto)]))
    assert ask(path, "SELECT calls, upto FROM llm_calls") == [(5, 5)]


async def test_an_older_state_does_not_overwrite_after_a_restart(path: Path, writer: SqliteStore) -> None:
    await writer.take(0, records([point(counts={"calls": 5}, upto=5)]))
    await writer.stop()
    again = SqliteStore(Settings(sqlite=path))
    await again.take(0, records([point(counts={"calls": 3}, upto=3)]))
    await again.stop()
    assert ask(path, "SELECT calls FROM llm_calls") == [(5,)]


async def test_a_measure_that_existed_once_stays(path: Path, writer: SqliteStore) -> None:
    """As in InfluxDB, where a point's fields are written one by one."""
    await writer.take(0, records([point(measures={"latency_ms_p95": 8.5}, upto=1)]))
    await writer.take(0, records([point(measures={}, upto=2)]))
    assert ask(path, "SELECT latency_ms_p95, upto FROM llm_calls") == [(8.5, 2)]


async def test_new_fields_and_new_measurements_become_columns_and_tables(
    path: Path, writer: SqliteStore
) -> None:
    await writer.take(0, records([point()]))
    await writer.stop()
    again = SqliteStore(Settings(sqlite=path))
    new = point(
        counts={"calls": 1, "new_count": 2}, measures={"new_measure": 3}, texts={"name": "x"}, team="b"
    )
    other = point(measurement="llm_new", counts={"calls": 1}, measures={})
    await again.take(0, records([new, other]))
    await again.stop()
    found = ask(path, "SELECT new_count, new_measure, name FROM llm_calls ORDER BY tags")
    assert found == [(2, 3.0, "x"), (None, None, None)]
    assert isinstance(found[0][1], float)
    assert ask(path, "SELECT calls FROM llm_new") == [(1,)]


async def test_a_file_of_an_older_version_gains_what_is_new_and_loses_nothing(
    path: Path, tmp_path: Path
) -> None:
    """What was written before: no refusals, no searches, and none of the measurements of detection."""
    old = {"calls": 4, "guardrail_blocks": 1}
    with closing(sqlite3.connect(path)) as store:
        store.executescript(
            'CREATE TABLE "llm_calls" ("view" TEXT NOT NULL, "window" TEXT NOT NULL, "start" INTEGER NOT NULL,'
            ' "tags" TEXT NOT NULL, "upto" INTEGER NOT NULL, "calls" INTEGER, "guardrail_blocks" INTEGER,'
            ' "cost_usd" REAL, PRIMARY KEY ("view", "window", "start", "tags"));'
            f"INSERT INTO llm_calls VALUES ('team', '1h', {START}, '{{\"team\":\"search\"}}', 1, 4, 1, 0.5),"
            f" ('team', '1h', {START - HOUR}, '{{\"team\":\"search\"}}', 1, 9, 0, 0.75)"
        )
    writer = SqliteStore(Settings(sqlite=path))
    new = {"refused_calls": 2, "retrievals": 3, "empty_retrievals": 1, "documents": 7}
    detection = [
        point(
            measurement=name,
            counts=dict.fromkeys(COUNTS[name], 1),
            measures=dict.fromkeys(MEASURES[name], 0.5),
        )
        for name in ("llm_toxicity", "llm_scores", "llm_drift", "llm_canary")
    ]
    await writer.take(0, records([point(counts=old | new, measures={}, upto=2), *detection]))
    await writer.stop()
    assert ask(
        path, "SELECT calls, refused_calls, retrievals, documents, cost_usd FROM llm_calls ORDER BY start"
    ) == [
        (9, None, None, None, 0.75),
        (4, 2, 3, 7, 0.5),
    ]
    for each in detection:
        names = ", ".join([*each.counts, *each.measures])
        assert ask(path, f"SELECT {names} FROM {each.measurement}") == [
            (*each.counts.values(), *each.measures.values())
        ]


async def test_hostile_tags_and_texts_are_only_data(path: Path, writer: SqliteStore) -> None:
    evil = "'); DROP TABLE llm_calls; --\"\n\x00"
    await writer.take(0, records([point(team=evil, texts={"name": evil}), point()]))
    rows = [json.loads(tags)["team"] for (tags,) in ask(path, "SELECT tags FROM llm_calls")]
    assert len(rows) == 2
    assert "search" in rows


async def test_records_that_are_no_points_are_counted_and_their_neighbours_written(
    path: Path, writer: SqliteStore
) -> None:
    await writer.take(0, records([b"{", point(counts={"calls": 2**63}), point(counts={'a"b': 1}), point()]))
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(1,)]
    assert (writer.counts.undecodable, writer.counts.written) == (3, 1)


async def test_it_can_be_read_while_it_is_written(path: Path, writer: SqliteStore) -> None:
    await writer.take(0, records([point(team="t0")]))
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM llm_calls").fetchone() == (1,)
        await writer.take(0, records([point(team=f"t{n}") for n in range(1, 500)]))
        assert reader.execute("SELECT count(*) FROM llm_calls").fetchone() == (1,)
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(500,)]


async def test_a_batch_is_written_whole_or_not_at_all(
    path: Path, writer: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.take(0, records([point()]))
    upsert, other = SqliteStore._upsert, point(team="later", counts={"calls": 1})

    def failing(store: SqliteStore, connection: sqlite3.Connection, shape: Shape, *group: Any) -> None:
        if shape.counts == ("calls",):
            raise ZeroDivisionError
        upsert(store, connection, shape, *group)

    monkeypatch.setattr(SqliteStore, "_upsert", failing)
    with pytest.raises(ZeroDivisionError):
        await writer.take(0, records([point(team="first"), other]))
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(1,)]
    monkeypatch.undo()
    await writer.take(0, records([point(team="first")]))
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(2,)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"mounting a small disk takes root: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def remount(folder: Path, how: str) -> None:
    process = await asyncio.create_subprocess_exec("mount", "-o", f"remount,{how}", folder)
    assert await process.wait() == 0


async def test_a_full_disk_loses_nothing_and_says_what_to_do(small: Path) -> None:
    path = small / "vitals.sqlite"
    writer = SqliteStore(Settings(sqlite=path))
    await writer.take(0, records([point(team="first")]))
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * 700_000)
    batch = records([b"no point", *(point(team=f"t{n}") for n in range(20_000))])
    for _ in range(2):
        with pytest.raises(SinkError, match="the disk is full: free some space") as full:
            await writer.take(0, batch)
        assert full.value.retry
        assert str(path) in str(full.value)
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(1,)]
    ballast.unlink()
    await remount(small, "size=32m")
    await writer.take(0, batch)
    await writer.stop()
    assert (writer.counts.written, writer.counts.errors, writer.counts.undecodable) == (20_001, 2, 1)
    assert ask(path, "SELECT count(*), sum(calls) FROM llm_calls") == [(20_001, 20_001 * 4)]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_read_only_disk_loses_nothing_and_says_what_to_do(small: Path) -> None:
    path = small / "vitals.sqlite"
    writer = SqliteStore(Settings(sqlite=path))
    await writer.take(0, records([point(team="first")]))
    await writer.stop()
    await remount(small, "ro")
    batch = records([point(team="second")])
    with pytest.raises(SinkError, match="writable") as refused:
        await writer.take(0, batch)
    assert refused.value.retry
    await remount(small, "rw")
    await writer.take(0, batch)
    await writer.stop()
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(2,)]


@pytest.mark.parametrize(
    ("broken", "why"),
    [("folder", "can't be opened"), ("text", "no sound SQLite file"), ("missing", "create its folder")],
)
async def test_a_path_that_can_not_be_a_store(tmp_path: Path, broken: str, why: str) -> None:
    path = tmp_path / broken
    if broken == "folder":
        path.mkdir()
    elif broken == "text":
        path.write_text("this is no database " * 100)
    else:
        path = path / "vitals.sqlite"
    writer = SqliteStore(Settings(sqlite=path))
    await writer.start()
    with pytest.raises(SinkError, match=why) as refused:
        await writer.take(0, records([point()]))
    assert refused.value.retry
    await writer.stop()


async def test_a_cancelled_batch_is_whole_and_closing_waits_for_it(path: Path, writer: SqliteStore) -> None:
    await writer.take(0, records([point(team="first")]))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(writer.take(0, records([point(team=f"t{n}") for n in range(50)])))
        await asyncio.to_thread(_until_taken, writer._turn)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other.execute("ROLLBACK")
    await writer.stop()
    assert ask(path, "SELECT count(*) FROM llm_calls") == [(51,)]


def _until_taken(turn: threading.Lock) -> None:
    while turn.acquire(blocking=False):
        turn.release()


def test_no_file_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="sqlite is not set"):
        SqliteStore(Settings())
