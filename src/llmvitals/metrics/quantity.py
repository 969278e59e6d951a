"""Formats numbers and lengths of time for people."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Final

from llmvitals.window import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from datetime import tzinfo

    from llmvitals.record.alert import Unit

_SPANS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
_AFTER: Final = {"tokens": " tokens", "tokens_per_s": " tokens/s", "per_s": "/s"}


def amount(value: float, unit: Unit) -> str:
    """Format a value with its unit; `usd` is in dollars, `ms` in milliseconds, a share between 0 and 1.

    >>> amount(1284.2, "usd"), amount(4200, "ms"), amount(0.12, "share")
    ('$1,284.20', '4.2 s', '12 %')
    """
    if not math.isfinite(value):
        return "unknown"
    if unit == "usd":
        return _dollars(value)
    if unit == "ms":
        return _millis(value)
    if unit == "share":
        return f"{_number(value * 100)} %"
    return _number(value) + _AFTER.get(unit, "")


def percent(value: float, limit: float) -> str:
    """Format how much of a limit is used, rounded down so that 100 % is not shown early; "" without a limit.

    >>> percent(1999.99, 2000)
    '99 %'
    """
    share = value / limit * 100 if limit > 0 else math.nan
    return f"{math.floor(share + 1e-9):,} %" if math.isfinite(share) else ""


def span(micros: int, units: int = 2) -> str:
    """Format a length of time (µs) in its greatest units, two at most.

    >>> span(4_335_000_000), span(4_335_000_000, units=1)
    ('1 h 12 min', '1 h')
    """
    parts: list[str] = []
    rest = max(micros, 0)
    for length, unit in _SPANS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:units]) or "less than 1 s"


def local(time: int, zone: tzinfo) -> str:
    """Format a time (µs) by the wall clock of a zone.

    >>> from zoneinfo import ZoneInfo
    >>> local(1_764_085_200_000_000, ZoneInfo("Europe/Berlin"))
    'Tue 25 Nov 2025 at 16:40 CET'
    """
    there = datetime.fromtimestamp(time // SECOND, zone)
    return f"{there:%a} {there.day} {there:%b %Y at %H:%M %Z}"


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
    return span(int(value) * 1_000)


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if abs(value) >= size:
                return f"{value / size:,.2f}".rstrip("0").rstrip(".") + letter
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
