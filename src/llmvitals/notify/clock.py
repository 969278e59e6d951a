"""Times in texts of detectors, as typed times that each reader sees in a zone of their own. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from llmvitals.window import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

Timed = tuple[str, int | None]
"""A text, and a time (µs since 1970) that belongs behind it."""
Sentence = tuple[Timed, ...]
"""Texts and times in turn."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME: Final = re.compile(
    rf" (?:(?P<weekday>{'|'.join(_DAYS)}) )?(?:(?P<day>[0-9]{{1,2}}) (?P<month>{'|'.join(_MONTHS)}) )?"
    r"(?:(?P<year>[0-9]{4}) at )?(?P<hour>[0-2][0-9]):(?P<minute>[0-5][0-9]) UTC\b",
    re.ASCII,
)


def timed(text: str, near: int) -> Sentence:
    """Return a text with its times in UTC as typed ones, such as `since 14:05 UTC`, `since Mon 09:00 UTC`.

    near: the time (µs) at which it was said; a time without a year is the last such one before that.
    """
    return tuple(_parts(text, near))


def _parts(text: str, near: int) -> Iterator[Timed]:
    begin = 0
    for found in _TIME.finditer(text):
        time = _last(found, near)
        if time is not None:
            yield text[begin : found.start()], time
            begin = found.end()
    if begin < len(text):
        yield text[begin:], None


def _last(found: re.Match[str], near: int) -> int | None:
    hour, minute = int(found["hour"]), int(found["minute"])
    try:
        now = datetime.fromtimestamp(near // SECOND, UTC)
        at = now.replace(hour=hour, minute=minute, second=0)
        if found["day"]:
            at = at.replace(
                day=1, month=_MONTHS.index(found["month"]) + 1, year=int(found["year"] or now.year)
            )
            at = at.replace(day=int(found["day"]))
            if not found["year"] and at > now:
                at = at.replace(year=at.year - 1)
        elif at > now:
            at -= timedelta(days=1)
        if found["weekday"] and not found["day"]:
            at -= timedelta(days=(at.weekday() - _DAYS.index(found["weekday"])) % 7)
        return int(at.timestamp()) * SECOND
    except (ValueError, OverflowError, OSError):
        return None
