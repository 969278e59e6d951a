"""Reads a file of calls, one JSON object a line, as the log of one partition."""

from __future__ import annotations

import gzip
import itertools
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from llmvitals.errors import ConfigError
from llmvitals.record.log import Logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BATCH: Final = 4_096


def batches(lines: Iterable[bytes]) -> Iterator[list[Logged]]:
    """Records of the non-empty lines, with the present as append time."""
    now = time.time_ns() // 1_000_000
    filled = (line.rstrip(b"\n") for line in lines if line.strip())
    numbered = (Logged(offset, now, line) for offset, line in enumerate(filled))
    while batch := list(itertools.islice(numbered, BATCH)):
        yield batch


@contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, Callable[[], float | None]]]:
    """Open a file of lines (`-`: standard input; `.gz`: gzip), with a function for the share that is read.

    The share is 0 … 1, or None if it is unknown. Raises ConfigError if there is no such file.
    """
    if name == "-":
        yield sys.stdin.buffer, lambda: None
        return
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"{name} is not a file: name a file, or - for standard input")
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield cast("BinaryIO", file), lambda: raw.tell() / size
