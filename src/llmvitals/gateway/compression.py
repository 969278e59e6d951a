"""Unpacks compressed content within a limit."""

from __future__ import annotations

import zlib
from typing import Final

from llmvitals.errors import BadCall, Code

_WINDOW: Final = {"gzip": 31, "deflate": 15}
"""Encoding → zlib's wbits."""
ENCODINGS: Final = ("identity", *_WINDOW)
"""The values of Content-Encoding that are known."""


def unpacked(content: bytes, encoding: str, limit: int) -> bytes | None:
    """The content without its compression; None if it then has more bytes than the limit.

    Raises BadCall if it is not in this encoding, which is one of `ENCODINGS`.
    """
    if encoding == "identity":
        return content if len(content) <= limit else None
    unzip = zlib.decompressobj(_WINDOW[encoding])
    try:
        plain = unzip.decompress(content, limit + 1)
    except zlib.error:
        raise BadCall(Code.INVALID, f"The content is not what Content-Encoding says: {encoding}") from None
    if len(plain) > limit:
        return None
    if not unzip.eof:
        raise BadCall(Code.INVALID, f"The content ends early: its {encoding} stream is not complete")
    return plain
