"""The files on disk of a SQLite database: itself, its WAL and the WAL's index; and room for them."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.store.protocol import Check

if TYPE_CHECKING:
    from pathlib import Path

ROOM: Final = 256 << 20
"""Bytes that should be free where the file is."""

Inode = tuple[int, int]
"""Device and inode number: what a file is, whatever it is called."""


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
