"""Formats a point as one line of InfluxDB's line protocol.

The client's own Point is not used: it drops NaN silently, changes the series when a tag is empty, and
takes ten times as long.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.record.point import Point

TAG_LIMIT: Final = 128
"""Characters of a tag's value."""
TEXT_LIMIT: Final = 1_024
"""Characters of a text field."""

# Controls, lone surrogates and the two separators that some readers take for an end of line. A backslash
# has no safe spelling in a tag: before the comma that ends the tag it would escape it.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_FORBIDDEN_IN_TAG: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\\\\]")
_ESCAPED: Final = re.compile("([,= ])")


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


def tags(point: Point) -> dict[str, str]:
    """Return a point's tags as they are written, sorted by key."""
    return {tag(key): tag(value) for key, value in sorted(point.tags.items())}


def text(value: str) -> str:
    """Return a text field as it is written: one line of at most 1,024 characters."""
    return _FORBIDDEN.sub(" ", value)[:TEXT_LIMIT]


def line(point: Point) -> str:
    """Return the line without its end: counts with `i`, measures as floats, texts in quotes, time in ns.

    A measure that is not finite is left out. Raises ValueError when no field remains.
    """
    fields = [f"{key}={value}i" for key, value in point.counts.items()]
    fields += [f"{key}={float(value)!r}" for key, value in point.measures.items() if math.isfinite(value)]
    fields += [f'{key}="{_quoted(value)}"' for key, value in point.texts.items()]
    if not fields:
        raise ValueError("a point without fields can't be written")
    return f"{point.measurement}{_head(tags(point))} {','.join(fields)} {point.start * 1_000}"


def _head(written: Mapping[str, str]) -> str:
    return "".join(f",{_escape(key)}={_escape(value)}" for key, value in written.items())


def _escape(value: str) -> str:
    return _ESCAPED.sub(r"\\\1", value)


def _quoted(value: str) -> str:
    return text(value).replace("\\", "\\\\").replace('"', '\\"')
