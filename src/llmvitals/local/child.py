"""A child process that ends when this process ends, however that ends."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
