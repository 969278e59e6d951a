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
        ("up", "<f2"),
        ("down", "<f2"),
    ]
)
"""hour: since 1970. stat, spread: see the gauges. value: the metric, in its unit. up, down: its distance
above and below the baseline in standard deviations, NaN without a baseline."""
_MOST: Final = 60_000.0


def rows(state: dict[str, Any]) -> Rows:
    """All hours, the oldest first."""
    return np.frombuffer(state.get("hours", b""), ROW)


def remember(state: dict[str, Any], row: tuple[float, ...], off: tuple[float, float], back: int) -> None:
    """Add an hour; row: its fields up to `value`. Hours that are more than `back` hours older are removed."""
    clipped = (min(max(entry, -_MOST), _MOST) for entry in off)
    new = np.array([(*row, *clipped)], ROW)
    old = rows(state)
    state["hours"] = old[old["hour"] + back >= row[0]].tobytes() + new.tobytes()


def doubt(state: dict[str, Any], since: int) -> None:
    """Exclude hours from `since` on from the noise."""
    changed = rows(state).copy()
    for side in ("up", "down"):
        changed[side][changed["hour"] >= since] = np.nan
    state["hours"] = changed.tobytes()


def same(found: Rows, hour: int, season: int, past: int) -> Rows:
    """The same hours of the last `past` seasons of so many hours."""
    lag = hour - found["hour"].astype(np.int64)
    there: Rows = found[(lag > 0) & (lag % season == 0) & (lag <= past * season)]
    return there
