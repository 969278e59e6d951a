"""A fixed limit on a metric that the store has kept."""

from __future__ import annotations

from typing import NamedTuple


class FixedLimit(NamedTuple):
    """A limit on a metric. limit: in the metric's unit. above: whether values above it breach, else below it.

    window: µs. min_calls: the calls that the window needs.
    """

    metric: str
    limit: float
    above: bool
    window: int
    min_calls: int
