"""How tags and texts are written, and the series that a point belongs to."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from llmvitals.record.view import UNKNOWN

TAG_LIMIT: Final = 128
"""Characters of a tag's value."""
TEXT_LIMIT: Final = 1_024
"""Characters of a text field."""
REMEMBERED: Final = 65_536
"""Series that are kept ready; of others the tags are checked again with each point."""

# Controls, lone surrogates and the two separators that some readers take for an end of line. A backslash
# has no safe spelling in a tag: before the comma that ends the tag it would escape it.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_FORBIDDEN_IN_TAG: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\\\\]")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A measurement with its tags as they are written, sorted by key. digest: 16 bytes of a hash of both.

    It is hashed by identity, so that what a store makes of a series is found quickly.
    """

    measurement: str
    tags: dict[str, str]
    digest: bytes


@lru_cache(maxsize=REMEMBERED)
def series_of(measurement: str, tags: tuple[tuple[str, str], ...]) -> Series:
    """Return the series with these tags, as far as possible the same object each time."""
    written = {tag(key): tag(value) for key, value in sorted(tags)}
    text = "\0".join([measurement, *(f"{key}\1{value}" for key, value in written.items())])
    return Series(measurement, written, hashlib.blake2b(text.encode(), digest_size=16).digest())


@lru_cache(maxsize=65_536)
def tag(value: str) -> str:
    """Return a tag's value (or key) as it is written: NFC, 1 to 128 characters, no control characters.

    An empty one becomes `unknown`. After a replacement or a cut, eight hex digits of the original's SHA-256
    are added, so that two series never become one.

    >>> tag("")
    'unknown'
    >>> tag("search team")
    'search team'
    """
    clean = unicodedata.normalize("NFC", value)
    replaced = _FORBIDDEN_IN_TAG.sub("_", clean)
    if replaced == clean and len(clean) <= TAG_LIMIT:
        return clean or UNKNOWN
    digest = hashlib.sha256(clean.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{replaced[: TAG_LIMIT - 9]}~{digest}"


def text(value: str) -> str:
    """Return a text field as it is written: one line of at most 1,024 characters."""
    return _FORBIDDEN.sub(" ", value)[:TEXT_LIMIT]
