"""A server of our own on this machine: start, freeze, kill, restart, stop, leave nothing behind."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Self

from llmvitals.errors import StartFailed
from llmvitals.local.child import Child


class Service:
    """A context manager around one child process and its data.

    name: in messages and in the temporary folder's name. data: where the data lie (default: a temporary
    folder, which stop() removes). It blocks; in async code call `await asyncio.to_thread(service.start)`.
    """

    def __init__(self, name: str, data: Path | None = None) -> None:
        self.name, self._data = name, data
        self._folder: Path | None = None
        self._child: Child | None = None
        self._command: list[str] = []
        self.address = ""
        """Where it serves, once it is started."""

    def prepare(self) -> list[str]:
        """Fetch what is missing, write the configuration into `folder`, give the command that starts it.

        Raises Unavailable.
        """
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it serves by now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 60.0) -> str:
        """Prepare, start, wait until it serves; gives the address.

        Raises Unavailable if it can't be had here, StartFailed if it is not up after `timeout` seconds.
        """
        self._folder = self._data or Path(tempfile.mkdtemp(prefix=f"llmvitals-{self.name}-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._command = self.prepare()
            self._run(timeout)
        except BaseException:
            self.stop()
            raise
        return self.address

    def stop(self, grace: float = 10.0) -> None:
        """End it (SIGKILL after `grace` seconds), wait until it is gone, remove temporary data.

        May be called twice.
        """
        if self._child:
            # Data that is thrown away needs no orderly end.
            self._child.stop(grace if self._data else 0.0)
            self._child = None
        if self._folder and not self._data:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay, answers don't come."""
        self._running.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after pause()."""
        self._running.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL; the data stay, for restart()."""
        self._running.stop(0.0)

    def restart(self, timeout: float = 60.0) -> None:
        """Start it again on the same port and data; ends it in order first if it still runs."""
        self._running.stop()
        self._run(timeout)

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError before start()."""
        return self._running.pid

    @property
    def folder(self) -> Path:
        """Where configuration, data and log lie. Raises RuntimeError before start()."""
        if self._folder is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._folder

    @property
    def log(self) -> Path:
        """What it printed since its last start."""
        return self.folder / f"{self.name}.out"

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._child

    def _run(self, timeout: float) -> None:
        self.log.unlink(missing_ok=True)
        child = self._child = Child(self._command, self.log, scratch=None if self._data else self.folder)
        give_up = time.monotonic() + timeout
        while not self.ready():
            if not child.alive:
                raise StartFailed(f"{self.name} ended while it started. Its last words:\n{child.tail()}")
            if time.monotonic() > give_up:
                raise StartFailed(
                    f"{self.name} was not up after {timeout:g} s. Its last words:\n{child.tail()}"
                )
            time.sleep(0.05)
