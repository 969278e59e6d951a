"""Converts values of others leniently: one out of bounds is unknown, and a long name is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

_MAX_COUNT: Final = 100_000_000
_TIERS: Final = frozenset(("default", "standard", "batch", "flex", "priority", "fast"))


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


def number(value: Any) -> float | None:
    """A finite number, also from a string; None for anything else."""
    if value is None:
        return None  # an exception would cost more than all the rest
    try:
        parsed = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def count(value: Any) -> int | None:
    """A whole number 0 … 10⁸, also from a string; None for anything else."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_COUNT else None
    parsed = number(value)
    return int(parsed) if parsed is not None and 0 <= parsed <= _MAX_COUNT and parsed == int(parsed) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def bare_model(model: str | None, provider: str | None) -> str | None:
    """A model's name without the prefix of its provider: `openai/gpt-4o` is gpt-4o at openai.

    A prefix that is not the provider's name is part of the model's, as in `meta-llama/llama-3` at groq.
    """
    if model and provider:
        prefix, slash, rest = model.partition("/")
        if slash and rest and prefix.lower() == provider.lower():
            return rest
    return model
