"""The files on disk of a SQLite database: itself, its WAL and its index; their room, and what errors mean."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.errors import SinkError
from llmvitals.store.protocol import Check

if TYPE_CHECKING:
    from pathlib import Path

BUSY: Final = 10.0
"""Seconds to wait for another process that is writing."""

ROOM: Final = 256 << 20
"""Bytes that should be free where the file is."""

Inode = tuple[int, int]
"""Device and inode number: what a file is, whatever it is called."""


def failure(error: Exception, path: Path) -> SinkError:
    """An error that says what to fix. Each cause may pass, so all of them are retried."""
    message = str(error)
    if "full" in message or getattr(error, "errno", None) == 28:
        why = "the disk is full: free some space, or set LLMVITALS_SQLITE to a file on another disk"
    elif "readonly" in message or "read-only" in message:
        why = "it can't be written: make the file and its folder writable for this user"
    elif "unable to open" in message:
        why = "it can't be opened: create its folder, and make it writable for this user"
    elif "locked" in message:
        why = f"another process has kept it locked for {BUSY:.0f} s: end that one"
    elif "not a database" in message or "malformed" in message:
        why = f"it is no sound SQLite file ({message}): move it away, or name another one"
    else:
        why = message
    return SinkError(f"SQLite file {path}: {why}", retry=True)


class Files(NamedTuple):
    """The inodes of the files at a database's path; None for a file that is not there."""

    main: Inode | None
    wal: Inode | None
    shm: Inode | None


def at(path: Path) -> Files:
    """The files that whoever opens this path now would get. Raises OSError when it can't be looked at."""
    return Files(*(_inode(f"{os.path.realpath(path)}{suffix}") for suffix in ("", "-wal", "-shm")))


def remove_orphans(path: Path, gone: Files) -> None:
    """Delete the WAL and index of a database that is no longer at the path.

    SQLite would apply a WAL that was left behind to the database that is there now, and so corrupt it.
    """
    for suffix, inode in (("-wal", gone.wal), ("-shm", gone.shm)):
        name = f"{os.path.realpath(path)}{suffix}"
        if inode is not None and _inode(name) == inode:
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108 - the name is no Path


def check(path: Path) -> Check | None:
    """What is wrong with the place of the file, for the doctor; None when it can be written."""
    folder, elsewhere = path.resolve().parent, "name another file in LLMVITALS_SQLITE"
    if not os.access(path if path.exists() else folder, os.W_OK) or not folder.is_dir():
        return Check("wrong", f"{path} can't be written", f"make it writable, or {elsewhere}")
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        found = f"{free >> 20} MiB are free where {path} is"
        return Check("wrong" if free < 1 << 20 else "warning", found, f"free some, or {elsewhere}")
    return None


def _inode(name: str) -> Inode | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - the name is no Path
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
