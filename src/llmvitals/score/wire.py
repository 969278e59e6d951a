"""The messages between a worker and a scorer's process: length and msgpack, on a socket."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import socket

_LENGTH: Final = struct.Struct("<I")


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
