"""Converts the values of other formats leniently, and makes strict calls of them.

Producers of other formats can't be corrected by their users: a value out of bounds is taken as unknown and a
long name is cut; only the id and the time of a call are required.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from llmvitals.errors import CURES, BadCall, Code
from llmvitals.record.call import Call

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_COUNT: Final = 100_000_000
_MAX_MS: Final = 86_400_000
_MAX_ID: Final = 512
_TIERS: Final = frozenset(("default", "standard", "batch", "flex", "priority", "fast"))


class Decoded(NamedTuple):
    """The contents of a record: its calls, and how many spans in it are no calls."""

    calls: list[Call]
    filtered: int = 0


class Format(NamedTuple):
    """A record format.

    knows: whether a JSON object with these names is in this format. read: decodes the calls of a record, with
    or without texts. read_with_texts: decodes them with their texts. Both raise BadCall.
    """

    knows: Callable[[Container[str]], bool]
    read: Callable[[bytes], Decoded]
    read_with_texts: Callable[[bytes], Decoded]


def bad(code: Code, what: str) -> BadCall:
    """Make the error for a record: what is wrong, and what to do."""
    return BadCall(code, f"{what}. {CURES[code]}")


def refusal(error: msgspec.ValidationError) -> BadCall:
    """Convert a msgspec error. Its text names the field, but never holds the value."""
    what, _, where = str(error).partition(" - at ")
    field = where.replace("`", "").removeprefix("$").removeprefix(".")
    if what.startswith("Invalid enum value"):
        what = "is not one of the allowed values"
    return bad(Code.INVALID, f"{field}: {what}" if field else what)


def call(fields: Mapping[str, Any]) -> Call:
    """Make a Call of these fields, without those that are None. Raises BadCall."""
    try:
        return msgspec.convert({k: v for k, v in fields.items() if v is not None}, Call)
    except msgspec.ValidationError as error:
        raise refusal(error) from None


def moment(micros: int, name: str) -> datetime:
    """Convert µs since 1970 to a time. Raises BadCall if it is beyond the year 9999. name: the field."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise bad(Code.INVALID, f"{name}: is not a time before the year 10000") from None


def text(value: Any, limit: int = 128) -> str | None:
    """A text or an integer as a name, cut to the limit; None for anything else, "" and the text "None"."""
    if type(value) is int:
        return str(value)[:limit]
    return value[:limit] if isinstance(value, str) and value and value != "None" else None


def tier(value: Any) -> str | None:
    """The service tier of an answer; "other" if it is one that calls can't name, such as scale.

    None if it is unknown, which "auto" is as well: it is only what requests ask for.
    """
    name = (text(value) or "auto").lower()
    return None if name == "auto" else name if name in _TIERS else "other"


def identity(value: Any) -> str | None:
    """A response id. It is never cut, because two long ids may differ only at their ends."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_ID and value != "None" else None


def flag(value: Any) -> bool | None:
    """True or False; None for anything else."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A finite number, also from a string; None for anything else."""
    try:
        parsed = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def count(value: Any) -> int | None:
    """A whole number 0 … 10⁸, also from a string; None for anything else."""
    parsed = number(value)
    return int(parsed) if parsed is not None and 0 <= parsed <= _MAX_COUNT and parsed == int(parsed) else None


def millis(value: float | None) -> float | None:
    """Milliseconds 0 … 24 h; None for anything else."""
    return value if value is not None and 0 <= value <= _MAX_MS else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
