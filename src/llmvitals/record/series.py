"""Series: their keys, and the shard that owns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from zlib import crc32

import msgspec

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(list[str])


def series_key(view: str, series: tuple[str, ...]) -> bytes:
    """The key of a series on topics and in the state: a JSON list, the view first.

    >>> series_key("app_model", ("search", "gpt-5"))
    b'["app_model","search","gpt-5"]'
    """
    return _encode((view, *series))


def series_of(key: bytes) -> tuple[str, tuple[str, ...]]:
    """Parse a key of `series_key`: the view's name, and the values of its dimensions."""
    view, *series = _decoder.decode(key)
    return view, tuple(series)


def shard_of(view: str, series: tuple[str, ...], shards: int) -> int:
    """The shard that owns a series: by CRC-32, so the same on every machine."""
    return crc32("\0".join((view, *series)).encode()) % shards
