"""Makes the price list of one model of the prices that a file gives."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, PriceVariant, TieredPrices

from llmvitals.price.rates import CONTEXTS

Price = Decimal | TieredPrices
Tiers = dict[str | None, dict[str, Price]]
"""Service tier (None: the plain prices) → key of a price → dollars for a million tokens."""

WHOLES: Final = {key: f"{side}_mtok" for side, keys in {
    "input": (
        "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok", "input_image_mtok",
        "cache_audio_read_mtok",
    ),
    "output": ("output_reasoning_mtok", "output_audio_mtok", "output_image_mtok"),
}.items() for key in keys}  # fmt: skip
"""The price of a part of the tokens → that of the whole."""


def model_info(name: str, prices: Tiers) -> ModelInfo:
    """The price list of a model. Raises ValueError if a part has a price and its whole has none."""
    plain = prices.get(None, {})
    for key in plain:
        whole = WHOLES.get(key, key)
        if whole not in plain:
            raise ValueError(f"{name}: {whole} is missing: {key} is the price of a part of these tokens")
    return ModelInfo(
        id=name,
        match=ClauseEquals(name.lower()),
        prices=ModelPrice(**plain),
        price_variants=[
            PriceVariant(CONTEXTS[tier], ModelPrice(**part)) for tier, part in prices.items() if tier
        ],
    )


def number(value: Any, where: str) -> Decimal:
    """A price in dollars. Raises ValueError that names the place if it is none."""
    found = Decimal(value) if type(value) in (int, Decimal) else Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= 1_000_000:
        raise ValueError(f"{where}: a price is a number of dollars, 0 to 1,000,000")
    return found


def table(value: Any, where: str) -> Mapping[str, Any]:
    """A table of names and values. Raises ValueError that names the place if it is none."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: a table of names and values is due here")  # noqa: TRY004 - of a file
    return value
