"""What a call costs, and why that is known or unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import Call


class Reason(IntEnum):
    """The reason for a cost, or why it is unknown: it is known up to CACHE_HIT."""

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
_SURE, _NEAR = 1e12, 1e-3
"""The product of floats may be on the wrong side of a half from so many nano-dollars on, or so near to it."""
Cost = tuple[int | None, Reason, int]
"""Nano-dollars (half to even), the reason, and nano-dollars without any cache (half up; 0 if unknown)."""
Rate = Callable[[Call], Cost]
"""Computes the cost of a call."""


class Costs(NamedTuple):
    """The costs of n calls. nano, gross: as in a Cost, but 0 where unknown. reasons: Reason."""

    nano: NDArray[np.int64]
    reasons: NDArray[np.int64]
    gross: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which costs are known."""
        return self.reasons <= Reason.CACHE_HIT

    @classmethod
    def unknown(cls, count: int, reason: Reason) -> Costs:
        """Unknown costs of so many calls."""
        zeros = np.zeros((2, count), np.int64)
        return cls(zeros[0], np.full(count, reason, np.int64), zeros[1])

    def put(self, places: Sequence[int], costs: Sequence[Cost]) -> None:
        """Set the costs of the calls at these places. Raises OverflowError beyond 64 bits."""
        if costs:
            nano, self.reasons[places], self.gross[places] = zip(*costs, strict=True)
            self.nano[places] = [cost or 0 for cost in nano]

    def give(self, places: Sequence[int], usd: Sequence[float]) -> None:
        """Set the costs of the calls at these places to what was given."""
        self.nano[places] = self.gross[places] = nanos(usd)
        self.reasons[places] = Reason.GIVEN


def needs_list_price(call: Call) -> bool:
    """Whether the list price counts in what a call costs, also without any cache."""
    return (
        call.cost_usd is None
        or bool(call.cache_hit)
        or bool(
            call.cost_usd and (call.cached_tokens or call.cache_write_tokens or call.cache_write_1h_tokens)
        )
    )


def own_cost(call: Call, listed: Cost) -> Cost:
    """The cost of a call with a given cost, or of a hit in the gateway's cache.

    listed: its list price, unknown where `needs_list_price` is false.
    """
    cost, _, gross = listed
    given = nano(call.cost_usd or 0)
    if call.cache_hit:
        return 0, Reason.CACHE_HIT, gross or given
    return given, Reason.GIVEN, min(given * gross // cost, max(given, MOST)) if given and cost else given


def nano(usd: float) -> int:
    """Convert dollars to integer nano-dollars, rounding the written decimal number half to even.

    >>> nano(0.0001542)
    154200
    """
    scaled = usd * 1e9
    whole = round(scaled)
    if scaled < _SURE and abs(abs(scaled - whole) - 0.5) > _NEAR:
        return whole
    return int(Decimal(repr(usd)).scaleb(9).to_integral_value(ROUND_HALF_EVEN))


def nanos(usd: Sequence[float]) -> NDArray[np.int64]:
    """Convert each as `nano` does."""
    scaled = np.array(usd) * 1e9
    whole = np.rint(scaled)
    unsure = (scaled >= _SURE) | (abs(abs(scaled - whole) - 0.5) <= _NEAR)
    result = whole.astype(np.int64)
    for place in np.flatnonzero(unsure).tolist():
        result[place] = nano(usd[place])
    return result
