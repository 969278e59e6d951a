"""A log of records in a temporary file, for what reads it more than once."""

from __future__ import annotations

import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from llmvitals.record.log import Logged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LENGTH: Final = 8
"""Bytes that hold the length of a record."""


class TemporaryLog:
    """The records, with the present as append time. It can be read any number of times until it is closed."""

    def __init__(self, records: Iterable[bytes]) -> None:
        self._now = time.time_ns() // 1_000_000
        self._file = TemporaryFile()  # noqa: SIM115 - it is closed with the log
        self._count = 0
        for record in records:
            self._file.write(len(record).to_bytes(_LENGTH) + record)
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def records(self) -> Iterator[Logged]:
        """The log from its beginning. One reader at a time."""
        self._file.seek(0)
        offset = 0
        while length := self._file.read(_LENGTH):
            yield Logged(offset, self._now, self._file.read(int.from_bytes(length)))
            offset += 1
