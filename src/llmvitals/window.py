"""Panes, windows, watermarks and calendar periods: integers only.

Times are microseconds since 1970 (UTC). A pane is named by its index, `time // pane length`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
QUARTER_HOUR: Final = 15 * MINUTE
"""No offset of a time zone is finer, so no calendar period begins within one."""
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
NEVER: Final = -(2**62)
"""Before every time and every pane: the watermark of a source without records."""
FOREVER: Final = 2**62
"""After every pane: the floor of a source that has ended."""

ROLLUPS: Final[dict[str, int]] = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR, "1d": DAY}
"""The windows that panes roll up into: name → length in µs, each a multiple of the one before."""

PERIODS: Final = ("hour", "day", "week", "month", "quarter", "year")

_UNITS: Final = {"ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_DURATION: Final = re.compile(r"(?:[0-9]+(?:ms|s|m|h|d|w))+")
_PART: Final = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")


def duration(text: str) -> int:
    """Parse a duration such as `30s`, `5m` or `1h30m` to microseconds.

    Raises ValueError that says what to write.

    >>> duration("1h30m") == 90 * MINUTE
    True
    """
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(
            f"{text!r} is no duration: write a number and ms, s, m, h, d or w, such as 30s or 5m"
        )
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration_text(micros: int) -> str:
    """Format a duration (µs) exactly, in as few units as possible.

    >>> duration_text(5 * MINUTE)
    '5m'
    """
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, micros = divmod(micros, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def window_start(time: int, length: int) -> int:
    """The start of the window of `length` µs that contains `time`. Windows are aligned to 1970, UTC."""
    return time - time % length


def period(time: int, per: str, zone: ZoneInfo) -> tuple[int, int]:
    """The calendar period (start, end), in µs, that contains `time`, by the wall clock of `zone`.

    per: one of PERIODS; weeks begin on Monday. When clocks change, a day has 23 or 25 hours.
    Raises ValueError for another `per`.
    """
    local = datetime.fromtimestamp(time // SECOND, zone)
    day = datetime(local.year, local.month, local.day, tzinfo=zone)
    if per == "hour":
        # Hours are elapsed time, so the hour that is repeated in autumn is two periods.
        into = local.minute * MINUTE + local.second * SECOND + time % SECOND
        return time - into, time - into + HOUR
    if per == "day":
        start, end = day, day + timedelta(days=1)
    elif per == "week":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(days=7)
    elif per in ("month", "quarter", "year"):
        months = {"month": 1, "quarter": 3, "year": 12}[per]
        first = (day.month - 1) // months * months + 1
        start = day.replace(month=first, day=1)
        after = first + months
        end = day.replace(year=day.year + (after > 12), month=(after - 1) % 12 + 1, day=1)
    else:
        raise ValueError(f"{per!r} is no period: write one of {', '.join(PERIODS)}")
    return int(start.timestamp()) * SECOND, int(end.timestamp()) * SECOND
