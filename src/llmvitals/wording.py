"""Times and strangers' texts as people read them: pure, total, no I/O."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

from llmvitals.window import SECOND

ELLIPSIS: Final = "…"
SEVERITIES: Final = {"critical": "red", "page": "red", "error": "red", "info": "blue"}
"""Severity → its colour; what is not in it is in between."""
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def clean(text: str, limit: int = 150) -> str:
    r"""A stranger's text on one line, at most `limit` long, without control, bidi or invisible characters.

    >>> clean("a\u202eb\n c")
    'ab c'
    """
    # Cutting first bounds the work for a text of megabytes.
    kept = (_shown(char) for char in text[: limit * 8])
    return _clip(" ".join("".join(kept).split()), limit, {})


def escape(text: str, limit: int = 3_000) -> str:
    """Text made inert for Slack: exactly & < > become entities; at most `limit` long *after* that.

    >>> escape("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return _clip(text, limit, _ENTITIES)


def moment(micros: int) -> str:
    """A time (µs since 1970) as text in UTC.

    >>> moment(1_735_689_600_000_000)
    '2025-01-01 00:00 UTC'
    """
    try:
        return f"{datetime.fromtimestamp(micros // SECOND, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "unknown"


def _shown(char: str) -> str:
    category = unicodedata.category(char)
    if category in {"Zl", "Zp"} or char in "\t\n\r":
        return " "
    return "" if category in {"Cc", "Cf", "Cs"} else char


def _clip(text: str, limit: int, entities: dict[str, str]) -> str:
    # Slack does not say what it counts; UTF-16 units are the most that it can be.
    kept: list[str] = []
    room, used, fits = limit - len(ELLIPSIS), 0, 0
    for char in text:
        piece = entities.get(char, char)
        used += len(piece) if len(piece) > 1 or char <= "\uffff" else 2
        if used > limit:
            return "".join(kept[:fits]) + ELLIPSIS
        kept.append(piece)
        if used <= room:
            fits = len(kept)
    return "".join(kept)
