"""The worker's side of a scorer's process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.errors import LlmvitalsError
from llmvitals.score.wire import SAID, Ask, Hello, Inbox, Said, Trouble, pack

LOADING: Final = 120.0
"""Seconds that a scorer may take to be loaded."""
STEP: Final = 0.25
"""Seconds that are waited at once."""


class Failed(LlmvitalsError):
    """A scorer did not do what was asked; the text tells what happened, and nothing of the texts."""


class Process:
    """A scorer in a process of its own, begun when it is first asked.

    target: `package.module:Class`. seconds: that it may take for one batch. Nothing here waits for longer
    than STEP, but for a batch that the process does not even take (at most `seconds`).
    """

    def __init__(self, target: str, seconds: float) -> None:
        self._target, self._seconds = target, seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._number, self._until = 0, 0.0
        self.hello: Hello | None = None
        """What the scorer is, once it was loaded; it stays."""
        self.loaded = False
        self.busy = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.pid if self._child else None

    def begin(self) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair()
        ours.settimeout(STEP)
        command = [sys.executable, "-m", "llmvitals.score.child"]
        # What is set for llmvitals (tokens among it) is none of a scorer's business.
        env = {name: value for name, value in os.environ.items() if not name.startswith("LLMVITALS_")}
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(theirs.fileno()), self._target, str(self._seconds)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=env,
            )
        self._end, self._inbox = ours, Inbox(ours)
        self._until, self.busy = time.monotonic() + LOADING, True

    def greeted(self) -> bool:
        """Whether the scorer is loaded by now. Raises Failed when it never will be."""
        if (word := self._word("loading")) is None:
            return False
        if not isinstance(word, Hello):
            why = word.what if isinstance(word, Trouble) else "it says something else than hello"
            raise self._failed(why)
        self.hello, self.loaded, self.busy = word, True, False
        return True

    def ask(self, texts: list[str]) -> None:
        """Hand texts over. Raises Failed."""
        self._number += 1
        self.busy, self._until = True, time.monotonic() + self._seconds
        self._end.settimeout(self._seconds)
        try:
            self._end.sendall(pack(Ask(self._number, texts)))
        except OSError:
            raise self._failed("its process is gone, or takes nothing") from None
        self._end.settimeout(STEP)

    def answer(self) -> NDArray[np.float64] | None:
        """What it said, as it is; None: nothing yet. Raises Failed, and ends the process unless it raised."""
        word = self._word("scoring")
        if word is None:
            return None
        if isinstance(word, Hello) or word.number != self._number:
            raise self._failed("it answers what was not asked")
        self.busy = False
        if isinstance(word, Trouble):
            raise Failed(f"it raised {word.what}")
        try:
            return np.frombuffer(word.data, np.dtype("<f8")).reshape(word.shape)
        except ValueError:
            raise self._failed("it answers with bytes that are no array") from None

    def end(self) -> None:
        """Kill the process, if there is one."""
        child, self._child = self._child, None
        self.loaded = self.busy = False
        if child is not None:
            self._end.close()
            child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)

    def _word(self, doing: str) -> Said | None:
        try:
            word: Said = SAID.decode(self._inbox.read())
        except TimeoutError:
            if time.monotonic() < self._until:
                return None
            raise self._failed(f"it hangs while {doing}") from None
        except (EOFError, OSError, msgspec.MsgspecError):
            raise self._failed(f"its process died while {doing}") from None
        return word

    def _failed(self, why: str) -> Failed:
        self.end()
        return Failed(why)
