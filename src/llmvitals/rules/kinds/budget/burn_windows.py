"""The pairs of windows of a budget's burn rate: as rules write them, and as buckets of panes.

The defaults are those of Google's SRE workbook, chapter 5 ("Multiwindow, Multi-Burn-Rate Alerts"), with money
instead of an error budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from llmvitals.errors import checked
from llmvitals.window import DAY, HOUR, MINUTE, duration, duration_text

LENGTHS: Final = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "quarter": 90 * DAY, "year": 360 * DAY}
"""The length of a period for an even spend; a month always has 30 days."""
SHORTEST: Final = MINUTE
FINE: Final = 5
"""Buckets in a short window; the newest one is not yet full."""


class Pair(NamedTuple):
    """factor: hundredths of an even spend of the limit over the period. long, short: windows, µs."""

    factor: int
    long: int
    short: int


DEFAULT: Final = (
    Pair(1_440, HOUR, 5 * MINUTE),
    Pair(600, 6 * HOUR, 30 * MINUTE),
    Pair(100, 3 * DAY, 6 * HOUR),
)
"""For a budget of 30 days: 2, 5 and 10 % of it are spent by the end of the long window."""

HOURLY: Final = Pair(100, HOUR, 5 * MINUTE)
"""The windows for the burn rate of the last hour in points."""
MOST: Final = 5
"""Pairs that a rule may list."""
WIDEST: Final = 24
"""The most short windows in a long one. It bounds the state."""
_LIKE: Final = "{factor: 14.4, windows: [1h, 5m]}"


@lru_cache
def scaled(period: int) -> tuple[Pair, ...]:
    """The default pairs, scaled to a period (µs); factors and shares stay the same.

    No window is shorter than a minute.

    >>> scaled(DAY)[0] == Pair(1_440, 2 * MINUTE, MINUTE)
    True
    """
    return tuple(
        Pair(factor, *(max(window * period // (30 * DAY), SHORTEST) for window in windows))
        for factor, *windows in DEFAULT
    )


def read_pairs(value: Any, pane: int) -> tuple[Pair, ...]:
    """The pairs that a rule lists; pane in µs. Raises ValueError with the cure."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST:
        raise ValueError(
            f"{value!r} is not a burn_rate: write default, off, or up to {MOST} lines like - {_LIKE}"
        )
    return tuple(checked(enumerate(value), lambda _, pair: _pair(pair, pane)).values())


def _pair(value: Any, pane: int) -> Pair:
    if not isinstance(value, dict) or value.keys() != {"factor", "windows"}:
        raise ValueError(f"write factor and windows, as in {_LIKE}")
    factor, windows = value["factor"], value["windows"]
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0.01 <= factor <= 10_000:
        raise ValueError(f"{factor!r} is not a factor: write a number such as 14.4")
    if not isinstance(windows, list) or len(windows) != 2:
        raise ValueError("write a long window and a short one, such as windows: [1h, 5m]")
    long, short = map(duration, windows)
    if not pane <= short < long or short % pane or long % pane:
        panes = duration_text(pane)
        raise ValueError(f"write the long window first, both multiples of a pane ({panes}), as in [1h, 5m]")
    if long > WIDEST * short:
        fits = duration_text(-(-long // WIDEST // pane) * pane)
        raise ValueError(f"the short window is too short for the long one: write {fits} or more")
    return Pair(round(factor * 100), long, short)


@dataclass(frozen=True)
class WindowPair:
    """A pair of windows in buckets. panes: of a bucket. long, short: buckets, one of them unfinished."""

    factor: int
    panes: int
    long: int
    short: int

    @cached_property
    def key(self) -> str:
        """The name of its ring; window_pairs with the same key share a ring."""
        return f"{self.panes}x{self.long}"


@lru_cache
def window_pairs(pairs: tuple[Pair, ...], pane: int) -> tuple[WindowPair, ...]:
    """The pairs in buckets, the greatest factor first; pane: µs. Windows are rounded up to whole buckets."""
    found = []
    for factor, long, short in sorted(pairs, reverse=True):
        panes = max(short // (FINE * pane), 1)
        found.append(WindowPair(factor, panes, -(-long // (panes * pane)), -(-short // (panes * pane))))
    return tuple(found)
