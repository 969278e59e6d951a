"""`llmvitals …` as somebody types it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from waiting import deadline

if TYPE_CHECKING:
    from pathlib import Path


class Said(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All of it on one line, as tables and terminals may have broken it anywhere."""
        return " ".join((self.out + self.err).split())


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Ours without any setting, and these settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LLMVITALS_")}
    wide = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}
    return plain | wide | {f"LLMVITALS_{name.upper()}": value for name, value in settings.items()}


def start(folder: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    """`llmvitals WORDS` in a folder, with these settings in the environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "llmvitals", *words],
        cwd=folder,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], timeout: float = 30) -> Said:
    """What came of it; fails when it takes longer than `timeout` seconds of an idle machine, or shows a traceback."""
    try:
        out, err = process.communicate(timeout=deadline(timeout))
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} did not end within {timeout} s:\n{out}{err}") from None
    assert "Traceback" not in out + err, out + err
    return Said(process.returncode, out, err)


def said(folder: Path, *words: str, **settings: str) -> Said:
    """Start it, and wait for its end."""
    return end(start(folder, *words, **settings))


class Deaf:
    """A port where connections are taken, and nothing is ever said; a context manager."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "{}:{}".format(*self._listener.getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def called(self) -> bool:
        """Whether anybody has connected."""
        self._listener.setblocking(False)
        with suppress(BlockingIOError):
            self._listener.accept()[0].close()
            return True
        return False
