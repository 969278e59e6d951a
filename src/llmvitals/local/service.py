"""A server that runs as a child process: start, pause, kill, restart and stop it."""

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

    name: used in messages and in the temporary folder's name. data: the folder of the data (default: a
    temporary folder, which stop() removes). Methods block; in async code call
    `await asyncio.to_thread(service.start)`.
    """

    def __init__(self, name: str, data: Path | None = None) -> None:
        self.name, self._data = name, data
        self._folder: Path | None = None
        self._child: Child | None = None
        self._command: list[str] = []
        self.address = ""
        """The address, once it is started."""

    def prepare(self) -> list[str]:
        """Fetch what is missing, and write the configuration into `folder`. Returns the command to start it.

        Raises Unavailable.
        """
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it accepts requests."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 60.0) -> str:
        """Prepare, start, and wait until it is ready. Returns the address.

        Raises Unavailable if it can't run here, StartFailed if it is not ready in `timeout` seconds.
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
        """End it (SIGKILL after `grace` seconds), wait until it has ended, and remove temporary data.

        May be called twice.
        """
        if self._child:
            # Temporary data needs no clean shutdown.
            self._child.stop(grace if self._data else 0.0)
            self._child = None
        if self._folder and not self._data:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def pause(self) -> None:
        """Pause it (SIGSTOP): connections stay open, but nothing is answered."""
        self._running.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume after pause()."""
        self._running.send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it (SIGKILL); the data stay for restart()."""
        self._running.stop(0.0)

    def restart(self, timeout: float = 60.0) -> None:
        """Start it again with the same port and data; a running one is stopped first."""
        self._running.stop()
        self._run(timeout)

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError before start()."""
        return self._running.pid

    @property
    def folder(self) -> Path:
        """The folder of configuration, data and log. Raises RuntimeError before start()."""
        if self._folder is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._folder

    @property
    def log(self) -> Path:
        """The file of its output since the last start."""
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
                raise StartFailed(f"{self.name} ended while it started. Its last lines:\n{child.tail()}")
            if time.monotonic() > give_up:
                raise StartFailed(
                    f"{self.name} was not ready after {timeout:g} s. Its last lines:\n{child.tail()}"
                )
            time.sleep(0.05)
