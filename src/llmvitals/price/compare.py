"""What a price list says at a time, and what differs between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from genai_prices.types import ModelInfo, TieredPrices

from llmvitals.price.model_prices import Price
from llmvitals.price.price_list import PRICE_KEYS
from llmvitals.price.rates import CONTEXTS

Figures = dict[str, Price]
"""Key of a price, behind its service tier if it has one (`batch.input_mtok`) → dollars."""
TIERS: Final = ("batch", "flex", "priority", "fast")


@dataclass(frozen=True, slots=True)
class Difference:
    """A price that differs. model: its name; old, new: None where there is no such price."""

    model: str
    key: str
    old: Price | None
    new: Price | None

    @property
    def change(self) -> float | None:
        """The relative change of the price of a short call; None if one of them is missing or 0."""
        old, new = base(self.old), base(self.new)
        return float(new / old) - 1 if old and new is not None else None


def base(price: Price | None) -> Decimal | None:
    """The price of a short call."""
    return price.base if isinstance(price, TieredPrices) else price


def text(price: Price | None) -> str:
    """A price as people read it: `1.25`, `1.25 (above 200,000: 2.5)`, `–` for none."""
    if price is None:
        return "–"
    if not isinstance(price, TieredPrices):
        return f"{price.normalize():f}"
    steps = (f"above {tier.start:,}: {tier.price.normalize():f}" for tier in price.tiers)
    return f"{price.base.normalize():f} ({', '.join(steps)})"


def figures(model: ModelInfo, at: datetime, *, tiers: bool = True) -> Figures:
    """The prices of a model at a time. tiers: whether those of its service tiers hold."""
    found = _known(vars(model.get_prices(at)))
    for tier in TIERS if tiers else ():
        for variant in model.price_variants or ():
            if variant.when == CONTEXTS[tier] and (
                variant.constraint is None or variant.constraint.active(at)
            ):
                found |= {
                    f"{tier}.{key}": price
                    for key, price in _known(vars(variant.prices)).items()
                    if f"{tier}.{key}" not in found
                }
    return found


def differences(old: Mapping[str, Figures], new: Mapping[str, Figures]) -> list[Difference]:
    """What differs between two lists (model → prices): by model, in the order of the new list."""
    found: list[Difference] = []
    for model in dict.fromkeys([*new, *old]):
        before, after = old.get(model, {}), new.get(model, {})
        found += [
            Difference(model, key, before.get(key), after.get(key))
            for key in dict.fromkeys([*after, *before])
            if before.get(key) != after.get(key)
        ]
    return found


def _known(prices: Mapping[str, Price | None]) -> Figures:
    return {key: price for key in PRICE_KEYS if (price := prices.get(key)) is not None}
