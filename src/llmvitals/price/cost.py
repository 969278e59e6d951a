"""The cost of a call by the price list of its model, in integers, and why it is known or unknown."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Final, NamedTuple

from genai_prices.types import ModelPrice, TieredPrices

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


PRICE_KEYS: Final = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok",
    "cache_audio_read_mtok", "input_image_mtok", "output_mtok", "output_reasoning_mtok", "output_audio_mtok",
    "output_image_mtok", "requests_kcount",
)  # fmt: skip
"""The supported prices: dollars for a million tokens, or for a thousand requests."""

_ENOUGH: Final = ("input_mtok", "output_mtok", "requests_kcount")


class _Coefficients(NamedTuple):
    """The cost of one more token of each kind. The price of a part is its difference to that of the whole.

    cached_audio: a part of two parts, so that the prices of both are in its difference.
    """

    request: int
    input: int
    cached: int
    write: int
    hour: int
    audio_input: int
    cached_audio: int
    image_input: int
    output: int
    reasoning: int
    audio_output: int
    image_output: int


def compiled(prices: ModelPrice, factor: Fraction = Fraction(1)) -> Rate:
    """Compile one price list. A tier applies to all tokens once the whole input exceeds its start."""
    known = {key: value for key in PRICE_KEYS if (value := getattr(prices, key)) is not None}
    if not any(key in known for key in _ENOUGH):
        return unpriced
    tiers = {
        tier.start for value in known.values() if isinstance(value, TieredPrices) for tier in value.tiers
    }
    levels = [(start, _flat(known, start, factor)) for start in sorted(tiers, reverse=True)]
    base = _flat(known, -1, factor)
    if not levels:
        return base

    def rate(call: Call) -> Cost:
        size = call.input_tokens or 0
        for start, level in levels:
            if size > start:
                return level(call)
        return base(call)

    return rate


def _price(value: Decimal | TieredPrices, level: int) -> Decimal:
    if not isinstance(value, TieredPrices):
        return value
    return next((tier.price for tier in reversed(value.tiers) if tier.start <= level), value.base)


def _flat(known: dict[str, Decimal | TieredPrices], level: int, factor: Fraction) -> Rate:
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
    parts = _Coefficients(*(int(part * unit) for part in exact))
    return _rate(parts, unit, frozenset(known))


def _rate(coefficients: _Coefficients, unit: int, known: frozenset[str]) -> Rate:
    request, whole, read, write, hour, _, _, _, out, think, _, _ = coefficients
    half, priced = unit // 2, Reason.PRICED
    think_apart, media = "output_reasoning_mtok" in known, _media(coefficients, known)

    def rate(call: Call) -> Cost:
        size, output = call.input_tokens or 0, call.output_tokens or 0
        total = request + whole * size + out * output
        cached = call.cached_tokens or 0
        cache = read * cached
        if call.cache_write_tokens or call.cache_write_1h_tokens:
            long = call.cache_write_1h_tokens or 0
            written = long if call.cache_write_tokens is None else call.cache_write_tokens
            if long > written:
                return INCONSISTENT
            cache += write * written + hour * long
            cached += written
        thought = call.reasoning_tokens or 0
        total += think * thought
        if (
            call.audio_input_tokens
            or call.audio_output_tokens
            or call.image_input_tokens
            or call.image_output_tokens
        ):
            parts = media(call)
            if parts is None:
                return INCONSISTENT
            total, cache = total + parts.price, cache + parts.cache
            cached += parts.input
            thought = max(thought, (thought if think_apart else 0) + parts.output)
        if cached > size or thought > output:
            return INCONSISTENT
        nano, rest = divmod(total + cache, unit)
        if rest > half or (rest == half and nano & 1):
            nano += 1
        return nano, priced, (total + half) // unit if cache else nano

    return rate


class _Media(NamedTuple):
    """Audio and images: what they add to the cost, the cache's share of it, and how many have own prices."""

    price: int
    cache: int
    input: int
    output: int


def _media(coefficients: _Coefficients, known: frozenset[str]) -> Callable[[Call], _Media | None]:
    """Compile the prices of audio and images. The result is None if a part exceeds its whole.

    Tokens of a kind without an own price have that of the whole, and may be any other part as well.
    """
    _, _, _, _, _, audio, cached_audio, image, _, _, speak, draw = coefficients
    kinds = ("input_audio_mtok", "input_image_mtok", "output_audio_mtok", "output_image_mtok")
    hears, sees, speaks, draws = (int(kind in known) for kind in kinds)

    def media(call: Call) -> _Media | None:
        size, output = call.input_tokens or 0, call.output_tokens or 0
        heard, seen = call.audio_input_tokens or 0, call.image_input_tokens or 0
        spoken, drawn = call.audio_output_tokens or 0, call.image_output_tokens or 0
        kept = call.cached_audio_tokens or 0
        if heard > size or seen > size or spoken > output or drawn > output:
            return None
        if kept > heard or kept > (call.cached_tokens or 0):
            return None
        return _Media(
            audio * heard + image * seen + speak * spoken + draw * drawn,
            cached_audio * kept,
            hears * (heard - kept) + sees * seen,
            speaks * spoken + draws * drawn,
        )

    return media
