"""The cost of a call, and why it is known or unknown."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from llmvitals.record.call import Call


class Reason(IntEnum):
    """The reason for a cost, or why it is unknown."""

    PRICED = 0
    GIVEN = 1
    CACHE_HIT = 2
    UNPRICED = 3
    UNKNOWN_USAGE = 4
    INCONSISTENT = 5
    NO_MODEL = 6
    UNKNOWN_TIER = 7
    PARTIAL_USAGE = 8


MOST: Final = 10**13
"""A given cost is at most 10,000 dollars, and so is what is derived from it or estimated."""
Cost = tuple[int | None, Reason, int]
"""Nano-dollars (half to even), the reason, and nano-dollars without any cache (half up; 0 if unknown)."""
Rate = Callable[[Call], Cost]
"""Computes the cost of a call with known usage."""

INCONSISTENT: Final[Cost] = (None, Reason.INCONSISTENT, 0)
UNPRICED: Final[Cost] = (None, Reason.UNPRICED, 0)
_UNKNOWN_TIER: Final[Cost] = (None, Reason.UNKNOWN_TIER, 0)


def unpriced(_: Call) -> Cost:
    """The rate of a model with an unknown price."""
    return UNPRICED


def unknown_tier(_: Call) -> Cost:
    """The rate of a service tier without a list price: never the price of another tier."""
    return _UNKNOWN_TIER
