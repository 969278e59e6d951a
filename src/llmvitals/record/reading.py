"""What a detector says about one series at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Verdict = Literal["breach", "hold", "clear", "none"]
"""Beyond the limit; no change, as between limit and release; at rest; too few calls to say."""


NoData = Literal["ok", "keep", "alert", "no_data"]
"""When there are too few calls to say: a firing alert resolves (ok) or stays until calls say otherwise
(keep); or it counts as a breach (alert), or is told as an alert of its own, level "no data" (no_data)."""

NO_DATA: Final = "no data"
"""The level of an alert that says that there are too few calls."""


class Stand(NamedTuple):
    """How a detector's statistic stood: fields of a point of its kind's measurement (record/columns).

    tags: beside view, window, rule and the series. end: the event time (µs) of the minute's end.
    """

    end: int
    measures: Mapping[str, float]
    counts: Mapping[str, int] = {}
    tags: Mapping[str, str] = {}
    texts: Mapping[str, str] = {}


class Reading(NamedTuple):
    """at: event time, µs. value, limit: in the metric's unit; calls, where there are too few of them.

    level: a budget's threshold ("80%"), which may rise within an episode. begin: names the episode where the
    detector knows it (a budget's period) and is "" where the alert's own beginning does. facet, note, ends,
    steer: see Alert's facet, note, ends and verdict. beside: further measures of how a budget stands.
    stands: what to write of a statistic, whatever the verdict is.
    """

    at: int
    verdict: Verdict
    value: float
    limit: float
    level: str = ""
    begin: str = ""
    facet: str = ""
    note: str = ""
    ends: int | None = None
    steer: str = ""
    beside: Mapping[str, float] | None = None
    stands: tuple[Stand, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether it speaks because there are too few calls: value and limit are numbers of calls then."""
        return self.verdict == "breach" and self.level == NO_DATA
