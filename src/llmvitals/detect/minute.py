"""Detectors whose step is a minute, however short the panes are."""

from __future__ import annotations

from llmvitals.window import MINUTE


def last(pane: int, length: int) -> int:
    """The last pane (of `length` µs) of the minute that a pane lies in: what a detector wakes at."""
    panes = MINUTE // length
    return pane // panes * panes + panes - 1


def ends(pane: int, length: int) -> bool:
    """Whether a minute is over when this pane is."""
    return last(pane, length) == pane
