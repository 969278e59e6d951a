"""A scorer's process, as the worker sees it, and the messages on the socket: length and msgpack."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from llmvitals.environment import PREFIX
from llmvitals.errors import LlmvitalsError

_LENGTH: Final = struct.Struct("<I")

LOADING: Final = 120.0
"""Seconds that a scorer may take to be loaded."""
STEP: Final = 0.25
"""Seconds that one call waits."""


class Request(msgspec.Struct, array_like=True):
    """Asks for the scores of texts. number: comes back with the answer."""

    number: int
    texts: list[str]


class Hello(msgspec.Struct, array_like=True, tag=True):
    """Says that the scorer is loaded, its name, and what it gives."""

    name: str
    gives: str


class Answer(msgspec.Struct, array_like=True, tag=True):
    """The numbers. shape: of the array; data: its float64, little-endian, row by row."""

    number: int
    shape: tuple[int, ...]
    data: bytes


class Trouble(msgspec.Struct, array_like=True, tag=True):
    """Says why the scorer can't be loaded (number 0), or what it raised, without any text in it."""

    number: int
    what: str


Reply = Hello | Answer | Trouble
REPLY: Final = msgspec.msgpack.Decoder(Reply)
REQUEST: Final = msgspec.msgpack.Decoder(Request)


def pack(message: Request | Reply) -> bytes:
    """Encode a message for the socket."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


class Inbox:
    """Reads messages from a socket, and keeps what has come of the next one."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._data = end, bytearray()

    def read(self) -> bytes:
        """Return the next message. Raises TimeoutError after the socket's timeout, EOFError at its end."""
        while True:
            if len(self._data) >= _LENGTH.size:
                upto = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
                if len(self._data) >= upto:
                    message = bytes(self._data[_LENGTH.size : upto])
                    del self._data[:upto]
                    return message
            received = self._end.recv(1 << 18)
            if not received:
                raise EOFError
            self._data += received


class Failed(LlmvitalsError):
    """A scorer failed; the message says how, and quotes none of the texts."""


class Process:
    """A scorer in a process of its own.

    target: `package.module:Class`. seconds: the time limit of one batch. No method waits for longer than
    STEP, except `ask` when the process does not take the batch (at most `seconds`).
    """

    def __init__(self, target: str, seconds: float) -> None:
        self._target, self._seconds = target, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._number, self._until = 0, 0.0
        self.hello: Hello | None = None
        """What the scorer said of itself when it was loaded; it stays when the process ends."""
        self.loaded = False
        self.busy = False

    @property
    def pid(self) -> int | None:
        """The id of the process, while there is one."""
        return self._process.pid if self._process else None

    def begin(self) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair()
        ours.settimeout(STEP)
        command = [sys.executable, "-m", "llmvitals.score.process_main"]
        # A scorer does not need the settings of llmvitals, and they hold secrets.
        env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(theirs.fileno()), self._target, str(self._seconds)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=env,
            )
        self._end, self._inbox = ours, Inbox(ours)
        self._until, self.busy = time.monotonic() + LOADING, True

    def greeted(self) -> bool:
        """Return whether the scorer is loaded by now. Raises Failed when it can't be loaded."""
        if (reply := self._reply("loading")) is None:
            return False
        if not isinstance(reply, Hello):
            why = reply.what if isinstance(reply, Trouble) else "its first message is not a greeting"
            raise self._failed(why)
        self.hello, self.loaded, self.busy = reply, True, False
        return True

    def ask(self, texts: list[str]) -> None:
        """Send texts to be scored. Raises Failed."""
        self._number += 1
        self.busy, self._until = True, time.monotonic() + self._seconds
        self._end.settimeout(self._seconds)
        try:
            self._end.sendall(pack(Request(self._number, texts)))
        except OSError:
            raise self._failed("its process is gone, or does not take the texts") from None
        self._end.settimeout(STEP)

    def answer(self) -> NDArray[np.float64] | None:
        """Return the numbers as they came; None: not yet there.

        Raises Failed, and then ends the process unless it was the scorer that raised.
        """
        reply = self._reply("scoring")
        if reply is None:
            return None
        if isinstance(reply, Hello) or reply.number != self._number:
            raise self._failed("its answer belongs to another request")
        self.busy = False
        if isinstance(reply, Trouble):
            raise Failed(f"it raised {reply.what}")
        try:
            return np.frombuffer(reply.data, np.dtype("<f8")).reshape(reply.shape)
        except ValueError:
            raise self._failed("its answer is not an array") from None

    def end(self) -> None:
        """Kill the process, if there is one."""
        process, self._process = self._process, None
        self.loaded = self.busy = False
        if process is not None:
            self._end.close()
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)

    def _reply(self, doing: str) -> Reply | None:
        try:
            reply: Reply = REPLY.decode(self._inbox.read())
        except TimeoutError:
            if time.monotonic() < self._until:
                return None
            raise self._failed(f"it hangs while {doing}") from None
        except (EOFError, OSError, msgspec.MsgspecError):
            raise self._failed(f"its process died while {doing}") from None
        return reply

    def _failed(self, why: str) -> Failed:
        self.end()
        return Failed(why)
