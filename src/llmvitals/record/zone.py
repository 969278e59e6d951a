"""Time zones by the names that people give them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from llmvitals.errors import suggestion


@lru_cache
def zone(name: Any) -> ZoneInfo:
    """The time zone of this name, such as Europe/Berlin. Raises ValueError with a suggestion."""
    names = available_timezones()
    if name not in names:
        near = suggestion(str(name), names)
        raise ValueError(
            f"{name!r} is no time zone{near if 'did you' in near else ': write one such as Europe/Berlin'}"
        )
    return ZoneInfo(name)
