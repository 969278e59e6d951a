"""Parses limits in rules, such as `4s`, `80%`, dollars or tokens, by the unit of the metric."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

NANO: Final = 10**9
BASIS: Final = 10_000
"""Shares are integers in hundredths of a per cent."""


def basis_points(value: Any) -> int:
    """Parse a share such as `80%` to hundredths of a per cent. Raises ValueError that says what to write."""
    text = value.strip() if isinstance(value, str) else ""
    number = text.removesuffix("%").strip()
    if text == number or not number.replace(".", "", 1).isascii() or not number.replace(".", "", 1).isdigit():
        hint = f"{value * 100:g}%" if _is_number(value) and 0 < value <= 1 else "80%"
        raise ValueError(f"{value!r} is no share: write it in per cent, such as {hint}")
    points = Decimal(number) * 100
    if points != int(points):
        raise ValueError(f"{text} is finer than 0.01%: write at most two decimals")
    return int(points)


def dollars_nano(value: Any) -> int:
    """Convert dollars to nano-dollars. Raises ValueError that says what to write."""
    if not _is_number(value):
        raise ValueError(f"{value!r} is no amount of money: write a number of dollars, such as 500 or 0.25")
    return int(Decimal(repr(value)) * NANO)


def whole(value: Any) -> int:
    """Parse a count. Raises ValueError that says what to write."""
    if not _is_number(value) or value != int(value):
        raise ValueError(f"{value!r} is no count: write a whole number, such as 8000")
    return int(value)


def limit(value: Any, unit: Unit) -> float:
    """Parse a limit to ms, a share of 1, dollars or a number, by the unit. Raises ValueError with a hint."""
    if unit == "ms":
        if _is_number(value):
            raise ValueError(f"{value} has no unit: write {value:g}s or {value:g}ms")
        return duration(value) / 1_000
    if unit == "share":
        points = basis_points(value)
        if points > BASIS:
            raise ValueError(f"{value} is more than all: a share is between 0% and 100%")
        return points / BASIS
    if unit == "usd":
        return dollars_nano(value) / NANO
    # Some scores lie between -1 and 1.
    if not _is_number(abs(value) if unit == "score" and isinstance(value, int | float) else value):
        raise ValueError(f"{value!r} is no number: write a plain number{_EXAMPLE.get(unit, '')}")
    return float(value)


_EXAMPLE: Final[dict[str, str]] = {
    "tokens": " of tokens, such as 8000",
    "tokens_per_s": " of tokens a second, such as 20",
    "per_s": " of calls a second, such as 0.5",
    "score": ", such as 0.2",
}


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )
