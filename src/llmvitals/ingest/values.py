"""What the readers of other formats share: lenient values in, a strict `Call` out.

A gateway's record is not ours to correct: a value out of bounds is unknown, a name too long is cut,
and only what makes a call (id, time) is insisted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from llmvitals.errors import CURES, BadCall, Code
from llmvitals.record.call import Call

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_COUNT: Final = 100_000_000
_MAX_MS: Final = 86_400_000
_MAX_ID: Final = 512


class Decoded(NamedTuple):
    """What one record holds: its calls, and how many spans in it are no calls."""

    calls: list[Call]
    filtered: int = 0


def bad(code: Code, what: str) -> BadCall:
    """The error for a record: what is wrong where, and the cure."""
    return BadCall(code, f"{what}. {CURES[code]}")


def refusal(error: msgspec.ValidationError) -> BadCall:
    """The objection of msgspec without the payload's value in it."""
    what, _, where = str(error).partition(" - at ")
    field = where.replace("`", "").removeprefix("$").removeprefix(".")
    if what.startswith("Invalid enum value"):
        what = "is none of the values that it may have"
    return bad(Code.INVALID, f"{field}: {what}" if field else what)


def call(fields: Mapping[str, Any]) -> Call:
    """A Call of these fields; what is None is left out. Raises BadCall."""
    try:
        return msgspec.convert({k: v for k, v in fields.items() if v is not None}, Call)
    except msgspec.ValidationError as error:
        raise refusal(error) from None


def moment(micros: int, name: str) -> datetime:
    """The time at µs since 1970. Raises BadCall where no calendar goes so far."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise bad(Code.INVALID, f"{name}: is no time") from None


def text(value: Any, limit: int = 128) -> str | None:
    """A name, cut to the limit; None for no text, for the empty one and for the string "None"."""
    if type(value) is int:
        return str(value)[:limit]
    return value[:limit] if isinstance(value, str) and value and value != "None" else None


def identity(value: Any) -> str | None:
    """The provider's id of an answer, never cut: two long ones may differ only at their ends."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_ID and value != "None" else None


def flag(value: Any) -> bool | None:
    """True or False; None for anything else."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A finite number, also out of a string."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def count(value: Any) -> int | None:
    """A whole number 0 … 10⁸, also out of a string."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _MAX_COUNT and found == int(found) else None


def millis(value: float | None) -> float | None:
    """Milliseconds 0 … 24 h."""
    return value if value is not None and 0 <= value <= _MAX_MS else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
