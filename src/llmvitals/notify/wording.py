"""Numbers, times and strangers' texts as people read them: pure, total, no I/O."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from llmvitals.window import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

ELLIPSIS: Final = "…"
_SPANS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
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


def amount(value: float, unit: Unit) -> str:
    """A value with its unit; `usd` is in dollars, `ms` in milliseconds, a share between 0 and 1.

    >>> amount(1284.2, "usd"), amount(4200, "ms"), amount(0.12, "share")
    ('$1,284.20', '4.2 s', '12 %')
    """
    if not math.isfinite(value):
        return "unknown"
    match unit:
        case "usd":
            return _dollars(value)
        case "ms":
            return _millis(value)
        case "share":
            return f"{_number(value * 100)} %"
        case "tokens":
            return f"{_number(value)} tokens"
        case "tokens_per_s":
            return f"{_number(value)} tokens/s"
        case "per_s":
            return f"{_number(value)}/s"
        case _:
            return _number(value)


def percent(value: float, limit: float) -> str:
    """How much of a limit is used, rounded down, so that 100 % is not said before it is true; "" without one.

    >>> percent(1999.99, 2000)
    '99 %'
    """
    share = value / limit * 100 if limit > 0 else math.nan
    return f"{math.floor(share + 1e-9):,} %" if math.isfinite(share) else ""


def span(micros: int) -> str:
    """A length of time in its two greatest units.

    >>> span(4_335_000_000)
    '1 h 12 min'
    """
    parts: list[str] = []
    rest = max(micros, 0)
    for length, unit in _SPANS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "less than 1 s"


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


def _dollars(value: float) -> str:
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 1:
        return f"{sign}${size:,.2f}".removesuffix(".00")
    if size < 1e-9:
        return "$0"
    places = max(2, 1 - math.floor(math.log10(size)))
    text = f"{size:.{places}f}"
    return f"{sign}${text.rstrip('0') if places > 2 else text}"


def _millis(value: float) -> str:
    if abs(value) < 1_000:
        return f"{_number(value)} ms"
    if abs(value) < 60_000:
        return f"{_number(value / 1_000)} s"
    return span(int(value * 1_000))


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if abs(value) >= size:
                return f"{value / size:,.2f}".rstrip("0").rstrip(".") + letter
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
