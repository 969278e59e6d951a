"""Parses limits in rules, such as `4s`, `80%`, dollars or tokens, by the unit of the metric."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from llmvitals.window import duration

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

NANO: Final = 10**9
BASIS: Final = 10_000
"""Shares are integers in hundredths of a per cent."""


_TEXT: Final = re.compile(
    r"[+-]?[$€£]?\s*"
    r"([0-9]{1,3}(?:[,_ ][0-9]{3})+(?:\.[0-9]{1,9})?|[0-9]{1,15}(?:[.,][0-9]{1,9})?|\.[0-9]{1,9})"
    r"\s*([km]?)\s*(?:[$€£%]|percent|pct|usd|dollars?|tokens?|calls?)?",
    re.IGNORECASE,
)
_GROUPS: Final = re.compile(r"[,_ ](?=[0-9]{3}(?![0-9]))")
_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000}


def meant(value: Any) -> Decimal | None:
    """The number, never negative, that a value most likely means; None if it is not known.

    >>> meant("$1,500"), meant("8k"), meant(-5)
    (Decimal('1500'), Decimal('8000'), Decimal('5'))
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(Decimal(repr(value))) if math.isfinite(value) else None
    match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    return Decimal(_GROUPS.sub("", match[1]).replace(",", ".")) * _FACTORS[match[2].lower()]


def _plain(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def basis_points(value: Any) -> int:
    """Parse a share such as `80%` to hundredths of a per cent. Raises ValueError that says what to write."""
    text = value.strip() if isinstance(value, str) else ""
    number = text.removesuffix("%").strip()
    if text == number or not number.replace(".", "", 1).isascii() or not number.replace(".", "", 1).isdigit():
        guess = meant(value)
        if guess is None:
            raise ValueError(f"{value!r} is no share: write it in per cent, such as 80%")
        if guess <= 1 and not (isinstance(value, str) and value.strip()[-1:] in "%t"):
            guess *= 100
        raise ValueError(f"{value!r} is no share: write it in per cent: {_plain(guess)}%")
    points = Decimal(number) * 100
    if points != int(points):
        raise ValueError(f"{text} is finer than 0.01%: write at most two decimals")
    return int(points)


def dollars_nano(value: Any) -> int:
    """Convert dollars to nano-dollars. Raises ValueError that says what to write."""
    if not _is_number(value):
        raise ValueError(
            f"{value!r} is no amount of money: write {_cure(value, 'a number of dollars', '500 or 0.25')}"
        )
    return int(Decimal(repr(value)) * NANO)


def whole(value: Any) -> int:
    """Parse a count. Raises ValueError that says what to write."""
    if not _is_number(value) or value != int(value):
        guess = meant(value)
        fits = guess is not None and guess == int(guess)
        raise ValueError(
            f"{value!r} is no count: write {_cure(value if fits else None, 'a whole number', '8000')}"
        )
    return int(value)


def _cure(value: Any, what: str, examples: str) -> str:
    guess = meant(value)
    return f"{what}, such as {examples}" if guess is None else f"{what}: {_plain(guess)}"


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
        if isinstance(value, int | float) and value < 0 and math.isfinite(value):
            raise ValueError(f"{value} is negative, and the metric never is: write a number: {-value:g}")
        what, _, example = _EXAMPLE.get(unit, "a plain number, such as 5").partition(", such as ")
        raise ValueError(f"{value!r} is no number: write {_cure(value, what, example)}")
    return float(value)


_EXAMPLE: Final[dict[str, str]] = {
    "tokens": "a plain number of tokens, such as 8000",
    "tokens_per_s": "a plain number of tokens a second, such as 20",
    "per_s": "a plain number of calls a second, such as 0.5",
    "score": "a plain number, such as 0.2",
}


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )
