"""Past hours, a few packed numbers each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

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
WIDTHS: Final = (0, 1, 2, 4)
"""Hours before and after the same hour that are joined with it while there are too few calls."""
DAYS: Final = 5
"""Weekdays that an hour of the day is compared with, at least, in the first weeks; at the weekend two."""
_HOURS: Final = 24
_THURSDAY: Final = 3


def rows(state: dict[str, Any]) -> Rows:
    """All hours, the oldest first."""
    return np.frombuffer(state.get("hours", b""), ROW)


def remember(state: dict[str, Any], row: tuple[float, ...], back: int) -> None:
    """Add an hour; row: its fields up to `value`. Hours that are more than `back` hours older are removed."""
    old = rows(state)
    new = np.array([(*row, 0)], ROW)
    state["hours"] = old[old["hour"] + back >= row[0]].tobytes() + new.tobytes()


def similar(found: Rows, hour: int, *, season: int, past: int, least: int, enough: int) -> Rows:
    """The hours to compare an hour with; none if there are too few.

    They are the same hours of the last `past` seasons of so many hours, at least `least`. Where a season is a
    week and too few of them are known, they are the same hours of past days of its kind (weekday, weekend):
    at least DAYS, or `least` where that is one. Neighbouring hours are joined until there are `enough` calls.
    """
    lag = hour - found["hour"].astype(np.int64)
    known = found[(lag > 0) & (lag <= past * season)]
    same = _joined(known, hour, season=season, least=least, enough=enough)
    if len(same) or season == _HOURS:
        return same
    weekend = _weekend(np.array([hour]))[0]
    alike = known[_weekend(known["hour"].astype(np.int64)) == weekend]
    needed = 1 if least == 1 else 2 if weekend else DAYS
    return _joined(alike, hour, season=_HOURS, least=needed, enough=enough)


def middle(past: Rows, name: str) -> float:
    """The median of a field, each hour as often as it has calls."""
    order = np.argsort(past[name])
    weights = np.cumsum(past["calls"][order].astype(float))
    return float(past[name][order][np.searchsorted(weights, weights[-1] / 2)])


def _joined(known: Rows, hour: int, *, season: int, least: int, enough: int) -> Rows:
    lag = hour - known["hour"].astype(np.int64)
    turn = (lag + season // 2) // season
    apart = np.abs(lag - turn * season)
    if not len(known) or lag.max() < least * season:
        return known[:0]
    near = np.zeros(len(known), bool)
    seasons = set[int]()
    for width in WIDTHS:
        near = (apart <= width) & (turn > 0)
        seasons = {*turn[near].tolist()}
        if len(seasons) >= least and known["calls"][near].sum() >= enough:
            break
    joined: Rows = known[near] if len(seasons) >= least else known[:0]
    return joined


def _weekend(hours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether hours since 1970 are of a Saturday or Sunday (UTC)."""
    found: NDArray[np.bool_] = (hours // _HOURS + _THURSDAY) % 7 >= 5
    return found
