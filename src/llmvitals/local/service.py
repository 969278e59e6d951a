"""A server that runs as a child process, which ends when this process ends, however that ends."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from llmvitals.errors import StartFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOCALHOST: Final = "127.0.0.1"

# The guard process reads a pipe that this process holds open. When this process ends, even by kill -9, the
# guard reads the end of the file, kills the child and removes its temporary data. PR_SET_PDEATHSIG would not
# work: it fires when the *thread* that forked ends, as asyncio's worker threads do.
_GUARD: Final = 'read -r _; kill -9 "$0" 2>/dev/null; [ -z "$1" ] || rm -rf -- "$1"'


class Child:
    """A process in its own session, so that Ctrl-C in the terminal does not reach it.

    log: the file of its output. scratch: a folder that is removed if this process dies before stop().
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        scratch: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - a command of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )
        self.log = log
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, str(self.pid), str(scratch or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs; a paused process does."""
        return self._process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal; does nothing if the process has ended."""
        self._process.send_signal(number)

    def pause(self) -> None:
        """Pause it (SIGSTOP), and wait until its last thread has stopped: kill() returns before that."""
        self.send(signal.SIGSTOP)
        if self.alive:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def stop(self, grace: float = 10.0) -> None:
        """End it: SIGTERM, and SIGKILL after `grace` seconds. Waits for the end; may be called twice."""
        if self.alive and grace:
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self._process.kill()
        self._process.wait()
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin:
            self._guard.stdin.close()

    def tail(self, lines: int = 8) -> str:
        """The last lines of its log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on.

    They lie below the range that the kernel uses for outgoing connections, so a service finds its port still
    free when it is restarted.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((LOCALHOST, port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


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
        self._running.pause()

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
