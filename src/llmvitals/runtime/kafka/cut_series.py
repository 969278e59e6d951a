"""Logs names of series that are counted in `_other` because their view is full."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmvitals.stage import CutSeries

log: Final = logging.getLogger(__name__)

INTERVAL: Final = 60.0
"""Seconds between two log lines about the same view."""


class CutSeriesLog:
    """Logs one line per view and INTERVAL, with a few of the names. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}

    def look(self, roster: CutSeries, views: Iterable[str]) -> None:
        """Log that series of these views were counted in `_other` since the last call."""
        now = self._clock()
        for view in views:
            if now - self._said.get(view, -INTERVAL) >= INTERVAL:
                self._said[view] = now
                log.warning(
                    "view %s has more names than it may have and counts the rest in _other, such as %s: "
                    "stop who sends them, or raise max_series (for sessions and users max_watched); "
                    "llmvitals doctor names more",
                    view,
                    ", ".join(roster.examples(view)),
                )
