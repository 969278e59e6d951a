"""Detectors whose step is a minute, however short the panes are."""

from __future__ import annotations

from llmvitals.window import MINUTE


def last(pane: int, length: int) -> int:
    """The last pane (of `length` µs) of the minute that a pane lies in: what a detector wakes at."""
    return end(pane * length // MINUTE, length)


def end(number: int, length: int) -> int:
    """The last pane of a minute by its number (since 1970)."""
    return (number + 1) * (MINUTE // length) - 1


def ends(pane: int, length: int) -> bool:
    """Whether a minute is over when this pane is."""
    return last(pane, length) == pane
