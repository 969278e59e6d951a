"""Panes and minutes, for detectors that read minute by minute, however short the panes are."""

from __future__ import annotations

from llmvitals.window import MINUTE


def last(pane: int, length: int) -> int:
    """The last pane (of `length` µs) of the minute that a pane lies in."""
    return end(pane * length // MINUTE, length)


def end(number: int, length: int) -> int:
    """The last pane of a minute, which is given by its number since 1970."""
    return (number + 1) * (MINUTE // length) - 1


def ends(pane: int, length: int) -> bool:
    """Whether a minute ends with this pane."""
    return last(pane, length) == pane
