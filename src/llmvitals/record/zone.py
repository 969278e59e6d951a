"""Looks up time zones by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from llmvitals.errors import suggestion

_names = lru_cache(available_timezones)


def zone(name: Any) -> ZoneInfo:
    """The time zone of this name, such as Europe/Berlin. Raises ValueError with a suggestion."""
    if not isinstance(name, str) or name not in _names():
        near = suggestion(str(name), _names())
        raise ValueError(
            f"{name!r} is no time zone{near if 'did you' in near else ': write one such as Europe/Berlin'}"
        )
    return ZoneInfo(name)
