"""Panes, windows, watermarks and calendar periods: integers only.

Times are microseconds since 1970 (UTC). A pane is named by its index, `time // pane length`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray

    _Hours = TypeVar("_Hours", int, NDArray[np.int64])

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
QUARTER_HOUR: Final = 15 * MINUTE
"""No offset of a time zone is finer, so no calendar period begins within one."""
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
SATURDAY: Final = 5
"""The first day of the weekend, see `weekday`."""
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
        meant = _meant(str(text))
        cure = f"write {meant}" if meant else "write a number and ms, s, m, h, d or w, such as 30s or 5m"
        raise ValueError(f"{text!r} is no duration: {cure}")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


_WORDS: Final = re.compile(
    r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:(?P<ms>ms|msecs?|millis|milliseconds?)|(?P<s>s|secs?|seconds?)"
    r"|(?P<m>m|mins?|minutes?)|(?P<h>h|hrs?|hours?)|(?P<d>d|days?)|(?P<w>w|wks?|weeks?))(?:\s|,|and|(?=[0-9])|$)+"
)


def _meant(text: str) -> str:
    """The duration that a text most likely means, "" if it is not known.

    >>> _meant("5 minutes"), _meant("1.5h")
    ('5m', '1h30m')
    """
    text, at, parts = text.strip().lower().lstrip("+-"), 0, []
    while at < len(text):
        match = _WORDS.match(text, at)
        if match is None:
            return ""
        at = match.end()
        unit = next(unit for unit in _UNITS if match[unit])
        parts.append((match["number"], unit))
    if all("." not in number for number, _ in parts):
        return "".join(number + unit for number, unit in parts)
    return duration_text(round(sum(float(number) * _UNITS[unit] for number, unit in parts)))


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


def weekday(hour: _Hours) -> _Hours:
    """The day of the week, UTC, of an hour since 1970, or of each of many: 0 is Monday.

    >>> weekday(0), weekday(2 * 24) == SATURDAY
    (3, True)
    """
    return (hour // 24 + 3) % 7


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
