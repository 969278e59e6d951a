"""What a detector says about one series at one moment."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["breach", "hold", "clear", "none"]
"""Beyond the limit; no change, as between limit and release; at rest; too few calls to say."""


class Reading(NamedTuple):
    """at: event time, µs. value, limit: in the metric's unit.

    level: a budget's threshold ("80%"), which may rise within an episode. begin: names the episode where the
    detector knows it (a budget's period) and is "" where the alert's own beginning does. facet, note, ends,
    steer: see Alert's facet, note, ends and verdict.
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
