"""Adds up closed panes to days and nothing else, for a replay that prints only those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmvitals.merge.bucket import Bucket
from llmvitals.merge.plan import Panes
from llmvitals.merge.rollup import Contents
from llmvitals.record.vitals import Vitals
from llmvitals.sketch import counters, quantiles
from llmvitals.window import ROLLUPS, window_start

_MOST: Final = 256
"""Panes of a series that wait until they are added up at once."""


class DayTotals:
    """In place of a `Rollup`: the counters and bins of days, once each, when the day is over.

    What it keeps is in no checkpoint. Contributors, scores and embeddings are left out. pane_us: length of a
    pane, µs.

    Law: counters and bins of a day are those of `Rollup`.
    """

    def __init__(self, pane_us: int) -> None:
        self._pane_us = pane_us
        self._days: dict[int, dict[bytes, list[Vitals]]] = {}

    def take(self, bucket: Bucket, closed: dict[bytes, Panes], now: int) -> Contents:
        """Add closed panes. Returns the days that end by `now` (µs)."""
        del bucket
        for key, panes in closed.items():
            for pane, vitals in panes:
                start = window_start(pane * self._pane_us, ROLLUPS["1d"])
                parts = self._days.setdefault(start, {}).setdefault(key, [])
                parts.append(vitals)
                if len(parts) >= _MOST:
                    parts[:] = [_added(parts)]
        ended = sorted(start for start in self._days if start + ROLLUPS["1d"] <= now)
        return {
            ("1d", start, key): _added(parts)
            for start in ended
            for key, parts in self._days.pop(start).items()
        }

    def drop(self, bucket: Bucket, now: int) -> bool:
        """Nothing: `take` has dropped the days that it returned."""
        del bucket, now
        return False


def _added(panes: Sequence[Vitals]) -> Vitals:
    parts = [part for pane in panes for part in (pane, *pane.late.values())]
    return Vitals(
        counters.add_sums(part.sums for part in parts),
        counters.take_maxima(part.maxima for part in parts),
        quantiles.merge_bins([part.bins for part in parts]),
    )
