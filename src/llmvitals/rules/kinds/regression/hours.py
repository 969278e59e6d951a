"""Past hours, a few packed numbers each."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.window import SATURDAY, weekday

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.void]

ROW: Final = np.dtype(
    [
        ("hour", "<u4"),
        ("calls", "<u4"),
        ("stat", "<f4"),
        ("spread", "<f4"),
        ("value", "<f4"),
        ("unused", "<u4"),
    ]
)
"""hour: since 1970. stat, spread: see the gauges. value: the metric, in its unit. unused: of version 0.1."""
_PACKED: Final = struct.Struct("<IIfffI")
"""A ROW, which struct packs sooner than numpy."""
_HOUR: Final = struct.Struct(f"<I{ROW.itemsize - 4}x")
WIDTHS: Final = (0, 1, 2, 4)
"""Hours before and after the same hour that are joined with it while there are too few calls."""
DAYS: Final = 5
"""Weekdays that an hour of the day is compared with, at least, in the first weeks."""
WEEKEND: Final = 2
"""The same at the weekend."""
_HOURS: Final = 24


def rows(state: dict[str, Any]) -> Rows:
    """All hours, the oldest first."""
    return np.frombuffer(state.get("hours", b""), ROW)


def remember(state: dict[str, Any], row: tuple[float, ...], back: int) -> None:
    """Add an hour; row: its fields up to `value`. Hours that are more than `back` hours older are removed.

    They lie in the order of time, so these are the first ones.
    """
    old: bytes = state.get("hours", b"")
    gone = next(
        (place for place, (hour,) in enumerate(_HOUR.iter_unpack(old)) if hour + back >= row[0]), None
    )
    kept = b"" if gone is None else old[gone * ROW.itemsize :]
    state["hours"] = kept + _PACKED.pack(*row, 0)


def similar(found: Rows, hour: int, *, season: int, past: int, least: int, enough: int) -> Rows:
    """The hours to compare an hour with; none if there are too few.

    They are the same hours of the last `past` seasons of so many hours, at least `least`. Where a season is a
    week and too few of them are known, they are the same hours of past days of its kind (weekday, weekend):
    at least DAYS, or `least` where that is one. Where a season is a day, they are of days of its kind, if
    these have `enough` calls, so that weekends that differ are ordinary; else they are of any days.
    Neighbouring hours are joined until there are `enough` calls.
    """
    lag = hour - found["hour"].astype(np.int64)
    known = (lag > 0) & (lag <= past * season)
    if not known.all():
        found, lag = found[known], lag[known]
    if season != _HOURS:
        same = _joined(found, lag, season=season, least=least, enough=enough)
        return same if len(same) else _of_kind(found, lag, hour, least=least, weekdays=DAYS, enough=enough)
    alike = _of_kind(found, lag, hour, least=least, weekdays=least, enough=enough)
    if int(alike["calls"].sum()) >= enough:
        return alike
    return _joined(found, lag, season=season, least=least, enough=enough)


def middle(past: Rows, name: str) -> float:
    """The median of a field, each hour as often as it has calls."""
    order = np.argsort(past[name])
    weights = np.cumsum(past["calls"][order].astype(float))
    return float(past[name][order][np.searchsorted(weights, weights[-1] / 2)])


def _joined(known: Rows, lag: NDArray[np.int64], *, season: int, least: int, enough: int) -> Rows:
    """See similar; lag: by how many hours each of the known ones is older."""
    if not len(known) or lag.max() < least * season:
        return known[:0]
    turn = (lag + season // 2) // season
    apart = np.abs(lag - turn * season)
    apart[turn == 0] = season
    near, seasons = known[:0], 0
    for width in WIDTHS:
        places = np.flatnonzero(apart <= width)
        near, seasons = known[places], len({*turn[places].tolist()})
        if seasons >= least and int(near["calls"].sum()) >= enough:
            break
    return near if seasons >= least else known[:0]


def _of_kind(
    known: Rows, lag: NDArray[np.int64], hour: int, *, least: int, weekdays: int, enough: int
) -> Rows:
    """The same hours of past days of the hour's kind; weekdays: the least number of these."""
    weekend = weekday(hour) >= SATURDAY
    alike = (weekday(hour - lag) >= SATURDAY) == weekend
    needed = 1 if least == 1 else WEEKEND if weekend else weekdays
    return _joined(known[alike], lag[alike], season=_HOURS, least=needed, enough=enough)
