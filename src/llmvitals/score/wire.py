"""The words between a worker and the process of a scorer: msgpack with its length before it, on a socket."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import socket

_LENGTH: Final = struct.Struct("<I")


class Ask(msgspec.Struct, array_like=True):
    """Score these texts. number: comes back with the answer."""

    number: int
    texts: list[str]


class Hello(msgspec.Struct, array_like=True, tag=True):
    """The scorer is loaded: what it is called, and what it gives."""

    name: str
    gives: str


class Answer(msgspec.Struct, array_like=True, tag=True):
    """What it said. shape: of the array; data: its float64, little-endian, row by row."""

    number: int
    shape: tuple[int, ...]
    data: bytes


class Trouble(msgspec.Struct, array_like=True, tag=True):
    """It can't be loaded (number 0), or raised something: what it is, without any text in it."""

    number: int
    what: str


Said = Hello | Answer | Trouble
SAID: Final = msgspec.msgpack.Decoder(Said)
ASKED: Final = msgspec.msgpack.Decoder(Ask)


def pack(word: Ask | Said) -> bytes:
    """As it goes over the socket."""
    data = msgspec.msgpack.encode(word)
    return _LENGTH.pack(len(data)) + data


class Inbox:
    """What has come so far of the next word."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._data = end, bytearray()

    def read(self) -> bytes:
        """The next word. Raises TimeoutError when it is not here in the socket's time; EOFError."""
        while True:
            if len(self._data) >= _LENGTH.size:
                upto = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
                if len(self._data) >= upto:
                    word = bytes(self._data[_LENGTH.size : upto])
                    del self._data[:upto]
                    return word
            came = self._end.recv(1 << 18)
            if not came:
                raise EOFError
            self._data += came
