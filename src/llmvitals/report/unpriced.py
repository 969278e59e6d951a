"""Finds the models whose calls have no price or are not metered, in the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvitals.metrics.amount import NANO
from llmvitals.metrics.quantity import amount
from llmvitals.price import Prices
from llmvitals.record.view import UNKNOWN
from llmvitals.store.question import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvitals.settings import Settings
    from llmvitals.store.protocol import Store

REASONS: Final = (
    "unknown_tier_calls", "partial_usage_calls", "inconsistent_usage_calls", "unknown_usage_calls",
)  # fmt: skip
"""The metrics that tell why calls have no price. The model of the others has none."""
_UNMETERED: Final = ("unmetered_calls", "estimated_calls", "estimated_low_nano", "estimated_high_nano")


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model with calls that have no price, or that may be billed and do not tell their tokens.

    name: provider/model. calls: all of them; unpriced: those without a price. reasons: of REASONS, those that
    are above 0. nearest: of an unknown model, the known one with the nearest name, if one is near. unmetered:
    the calls that may be billed without telling their tokens; estimated: those of them that cost
    estimated_low to estimated_high nano-dollars.
    """

    name: str
    calls: int
    unpriced: int
    reasons: Mapping[str, int]
    nearest: str | None
    unmetered: int = 0
    estimated: int = 0
    estimated_low: int = 0
    estimated_high: int = 0

    @property
    def billed(self) -> str:
        """What may be billed of the calls that do not tell their tokens, in words; "" without any."""
        if not self.unmetered:
            return ""
        low, high = (amount(nano / NANO, "usd") for nano in (self.estimated_low, self.estimated_high))
        told = f"{self.estimated:,} of them for {low} to {high}" if self.estimated else "without an estimate"
        return f"{self.unmetered:,} may be billed and are not metered, {told}"


async def unpriced_models(
    settings: Settings, store: Store, span: tuple[int, int], window: str = "1h"
) -> list[UnpricedModel]:
    """The models with such calls in a span (begin, end; µs): those with the most calls without a price first.

    Raises ConfigError for the price file, and SinkError if the store can't be read.
    """
    fields = ("calls", "unpriced_calls", *REASONS, *_UNMETERED)
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sample in await store.samples(Request("provider_model", window, *span, fields, {})):
        key = (sample.tags.get("provider", UNKNOWN), sample.tags.get("model", UNKNOWN))
        found[key].update({name: int(count) for name, count in sample.fields.items()})
    prices = Prices.of(settings)
    rows = [
        UnpricedModel(
            f"{provider}/{model}",
            counts["calls"],
            counts["unpriced_calls"],
            {name: counts[name] for name in REASONS if counts[name]},
            _nearest(prices, provider, model),
            *(counts[name] for name in _UNMETERED),
        )
        for (provider, model), counts in found.items()
        if counts["unpriced_calls"] or counts["unmetered_calls"]
    ]
    return sorted(rows, key=lambda row: (row.unpriced, row.unmetered, row.name), reverse=True)


def _nearest(prices: Prices, provider: str, model: str) -> str | None:
    at = None if provider == UNKNOWN else provider
    return None if prices.find(at, model) else prices.nearest(at, model)
