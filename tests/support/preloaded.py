"""`python -m llmvitals …` in processes that do not import everything again, which takes seconds of a processor.

A server process imports llmvitals once, and forks. All of its processes share one hash seed, so sets have the
same order in them, and variables that are read at the import are those of the server; see `Cluster`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from llmvitals.entry import main

if TYPE_CHECKING:
    from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["llmvitals.cli", "llmvitals.cli.run", "llmvitals.runtime.worker"])


class Preloaded:
    """A process; the methods are those of subprocess.Popen. log: where stdout and stderr go."""

    def __init__(self, words: list[str], env: dict[str, str], log: Path) -> None:
        log.touch()
        # Daemonic: it ends with the tests.
        self._process = _FORKS.Process(target=_run, args=(words, env, str(log)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(words: list[str], env: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(out, sys.stderr.fileno())
    sys.argv = ["llmvitals", *words]
    main()
