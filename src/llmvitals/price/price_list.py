"""The price list of a model at one time, compiled to integers."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final

from genai_prices.types import ModelPrice, TieredPrices

from llmvitals.price.cost import Cost, Reason
from llmvitals.price.formula import Coefficients, price
from llmvitals.record.call import Call
from llmvitals.record.tokens import tokens

PRICE_KEYS: Final = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok",
    "cache_audio_read_mtok", "input_image_mtok", "output_mtok", "output_reasoning_mtok", "output_audio_mtok",
    "output_image_mtok", "requests_kcount",
)  # fmt: skip
"""The supported prices: dollars for a million tokens, or for a thousand requests."""

_ENOUGH: Final = ("input_mtok", "output_mtok", "requests_kcount")
_PARTS: Final = (
    "input_audio_mtok", "input_image_mtok", "output_reasoning_mtok", "output_audio_mtok", "output_image_mtok",
)  # fmt: skip
"""Parts of the tokens that may have a price of their own, in the order of the last coefficients."""

_NO_PRICE: Final = Coefficients(2, *(0,) * 17)


@dataclass(frozen=True, eq=False)
class PriceList:
    """The prices of one model at one time.

    reason: PRICED, or why a call has no price. tiers: of how much input each begins, ascending. levels: the
    prices below all of them, and in each.
    """

    reason: Reason
    tiers: tuple[int, ...] = ()
    levels: tuple[Coefficients[int], ...] = (_NO_PRICE,)

    @cached_property
    def largest(self) -> int:
        """No sum of this list is larger, if there is one token of each kind."""
        return max(sum(map(abs, level)) for level in self.levels)

    def cost(self, call: Call) -> Cost:
        """The cost of a call with known usage."""
        if self.reason is not Reason.PRICED:
            return None, self.reason, 0
        used = tokens(call)
        nano, gross, consistent = price(self.levels[bisect_left(self.tiers, used.input)], used)
        return (nano, Reason.PRICED, gross) if consistent else (None, Reason.INCONSISTENT, 0)


UNPRICED: Final = PriceList(Reason.UNPRICED)
"""Of a model with an unknown price."""
UNKNOWN_TIER: Final = PriceList(Reason.UNKNOWN_TIER)
"""Of a service tier without a list price: never the price of another tier."""


def compiled(prices: ModelPrice, factor: Fraction = Fraction(1)) -> PriceList:
    """Compile one price list. A tier applies to all tokens once the whole input exceeds its start."""
    known = {key: value for key in PRICE_KEYS if (value := getattr(prices, key)) is not None}
    if not any(key in known for key in _ENOUGH):
        return UNPRICED
    tiers = sorted(
        {tier.start for value in known.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    return PriceList(
        Reason.PRICED, tuple(tiers), tuple(_level(known, start, factor) for start in (-1, *tiers))
    )


def _price(value: Decimal | TieredPrices, level: int) -> Decimal:
    if not isinstance(value, TieredPrices):
        return value
    return next((tier.price for tier in reversed(value.tiers) if tier.start <= level), value.base)


def _level(known: dict[str, Decimal | TieredPrices], level: int, factor: Fraction) -> Coefficients[int]:
    def at(key: str, instead: Fraction) -> Fraction:
        # Nano-dollars for one token: one dollar for a million tokens is 1,000.
        return Fraction(_price(known[key], level)) * 1_000 * factor if key in known else instead

    nothing = Fraction(0)
    whole, out = at("input_mtok", nothing), at("output_mtok", nothing)
    write = at("cache_write_mtok", whole)
    read, audio = at("cache_read_mtok", whole), at("input_audio_mtok", whole)
    both = read + audio - whole
    exact = (
        at("requests_kcount", nothing) * 1_000,
        whole,
        read - whole,
        write - whole,
        at("cache_write_1h_mtok", write) - write,
        audio - whole,
        at("cache_audio_read_mtok", both) - both,
        at("input_image_mtok", whole) - whole,
        out,
        at("output_reasoning_mtok", out) - out,
        at("output_audio_mtok", out) - out,
        at("output_image_mtok", out) - out,
    )
    # In pico-dollars, or a finer unit for the few lists that need it, such as with a third of a cent.
    unit = 1_000
    while any((part * unit).denominator != 1 for part in exact):
        unit *= 10
    return Coefficients(unit, *(int(part * unit) for part in exact), *(int(key in known) for key in _PARTS))
