"""Compiles a price list to a function of a call that computes in integers.

Maps names of providers and service tiers to those of genai-prices.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Final, NamedTuple

from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from llmvitals.record.call import Call, ended
from llmvitals.window import DAY

ALIASES: Final = {
    "gcp.gen_ai": "google",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure_ai": "azure",
    "x_ai": "x-ai",
    "fireworks_ai": "fireworks",
    "ibm.watsonx.ai": "watsonx",
    "models": "google",
}
"""Names of providers that genai-prices does not know, or takes for another provider. models: Google's API
calls a model `models/gemini-2.5-flash`."""

CONTEXTS: Final[Mapping[str | None, dict[str, str]]] = {
    None: {},
    "default": {},
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
    "other": {"service_tier": "other"},
}
"""A call's service tier → genai-prices' price context; {} has the plain price. "other" has none anywhere."""

PRICE_KEYS: Final = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok",
    "output_mtok", "output_reasoning_mtok", "output_audio_mtok", "requests_kcount",
)  # fmt: skip
"""The supported prices: dollars for a million tokens, or for a thousand requests."""

_ENOUGH: Final = ("input_mtok", "output_mtok", "requests_kcount")


def canonical(name: str, providers: list[Provider]) -> str:
    """The canonical name of a provider: that of genai-prices if it knows it, else the name in lower case."""
    name = name.lower().strip()
    name = ALIASES.get(name, name)
    known = find_provider_by_id(providers, name)
    return known.id if known else name


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


class _Coefficients(NamedTuple):
    """The cost of one more token of each kind. The price of a part is its difference to that of the whole."""

    request: int
    input: int
    cached: int
    write: int
    hour: int
    audio_input: int
    output: int
    reasoning: int
    audio_output: int


def by_time(model: ModelInfo, context: dict[str, str], factor: Fraction = Fraction(1)) -> Rate:
    """Compile the rate of a model in a price context. The time of a call selects the price list.

    context: {} for the plain price; else calls are unpriced (UNKNOWN_TIER) while no prices are listed for it.
    factor: the share of each price that remains after a discount.
    """
    constraints = [entry.constraint for entry in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in model.price_variants or ()]
    days, times = {0}, {0}
    for constraint in constraints:
        if isinstance(constraint, StartDateConstraint):
            start = constraint.start_date
            days.add(int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1_000_000)
        elif isinstance(constraint, TimeOfDateConstraint):
            times |= {_time_of_day(constraint, name) for name in ("start_time", "end_time")}
    hours = sorted(times)
    starts: list[int] = []
    lists: list[list[ModelPrice | None]] = []
    for day in sorted(days):
        row = [_listed(model, _at(day + hour), context) for hour in hours]
        if not lists or row != lists[-1]:
            starts.append(day)
            lists.append(row)
    table = [[compiled(prices, factor) if prices else unknown_tier for prices in row] for row in lists]
    if len(starts) == len(hours) == 1:
        return table[0][0]

    def rate(call: Call) -> Cost:
        time = max(ended(call), 0)
        return table[bisect_right(starts, time) - 1][bisect_right(hours, time % DAY) - 1](call)

    return rate


def _listed(model: ModelInfo, at: datetime, context: dict[str, str]) -> ModelPrice | None:
    """The price list at a time; None if none is for this context: get_prices would return the plain one."""
    variants = [
        variant
        for variant in model.price_variants or ()
        if variant.when.items() <= context.items()
        and (variant.constraint is None or variant.constraint.active(at))
    ]
    return model.get_prices(at, context) if variants or not context else None


def _at(time: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def _time_of_day(constraint: TimeOfDateConstraint, name: str) -> int:
    moment = datetime.combine(datetime(1970, 1, 2, tzinfo=UTC), getattr(constraint, name))
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) % DAY


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
    exact = (
        at("requests_kcount", nothing) * 1_000,
        whole,
        at("cache_read_mtok", whole) - whole,
        write - whole,
        at("cache_write_1h_mtok", write) - write,
        at("input_audio_mtok", whole) - whole,
        out,
        at("output_reasoning_mtok", out) - out,
        at("output_audio_mtok", out) - out,
    )
    # In pico-dollars, or a finer unit for the few lists that need it, such as with a third of a cent.
    unit = 1_000
    while any((part * unit).denominator != 1 for part in exact):
        unit *= 10
    parts = _Coefficients(*(int(part * unit) for part in exact))
    return _rate(parts, unit, apart=("input_audio_mtok" in known, "output_reasoning_mtok" in known))


def _rate(coefficients: _Coefficients, unit: int, *, apart: tuple[bool, bool]) -> Rate:
    request, whole, read, write, hour, audio, out, think, speak = coefficients
    half, priced = unit // 2, Reason.PRICED
    audio_apart, think_apart = apart

    def rate(call: Call) -> Cost:
        size, output = call.input_tokens or 0, call.output_tokens or 0
        total = request + whole * size + out * output
        cache = cached = call.cached_tokens or 0
        if cached:
            cache = read * cached
        if call.cache_write_tokens or call.cache_write_1h_tokens:
            long = call.cache_write_1h_tokens or 0
            written = long if call.cache_write_tokens is None else call.cache_write_tokens
            if long > written:
                return INCONSISTENT
            cache += write * written + hour * long
            cached += written
        thought = call.reasoning_tokens or 0
        if thought:
            total += think * thought
        if call.audio_input_tokens or call.audio_output_tokens:
            heard, spoken = call.audio_input_tokens or 0, call.audio_output_tokens or 0
            if heard > size or spoken > output:
                return INCONSISTENT
            total += audio * heard + speak * spoken
            cached += heard if audio_apart else 0
            thought += spoken if think_apart else 0
        if cached > size or thought > output:
            return INCONSISTENT
        net = total + cache
        nano = net // unit
        rest = net - nano * unit
        if rest > half or (rest == half and nano & 1):
            nano += 1
        return nano, priced, (total + half) // unit if cache else nano

    return rate
