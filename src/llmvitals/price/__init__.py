"""What a call costs, in integer nano-dollars."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from llmvitals.price.names import CONTEXTS, canonical
from llmvitals.price.own import Own, read
from llmvitals.price.rates import Cost, Rate, Reason, by_time, unpriced
from llmvitals.record.call import MODEL_OPERATIONS, Call

__all__ = ["Cost", "Prices", "Reason", "nano"]

_REMEMBERED: Final = 10_000
_FAR_OFF: Final = 100
MOST_GIVEN: Final = 10**13
"""A given cost is at most 10,000 dollars; what it is said to have been without a cache is no more."""

_NO_MODEL: Final[Cost] = (None, Reason.NO_MODEL, 0)
_UNKNOWN_USAGE: Final[Cost] = (None, Reason.UNKNOWN_USAGE, 0)


class Prices:
    """Prices of models: one's own over those of genai-prices, each compiled when first asked for.

    own: a TOML or JSON file, see `price.own`. Raises ConfigError when it is wrong.
    """

    def __init__(self, own: Path | None = None) -> None:
        self._own = read(own) if own else Own()
        self._snapshot: DataSnapshot = get_snapshot()
        self._rates: dict[tuple[str | None, str, str | None], Rate] = {}

    def price(self, call: Call) -> int | None:
        """Nano-dollars of a call; None where that is not known (never 0 by ignorance)."""
        return self.assess(call)[0]

    def assess(self, call: Call) -> Cost:
        """Nano-dollars of a call, why, and what it had cost without any cache.

        A given cost is used as it is; what the gateway's cache answered costs 0. Without any cache: cached
        and cache-written input at the price of all input, and a gateway's hit at its list price; a given cost
        grows in the proportion in which the list price would. The cost is None for an
        unknown model (UNPRICED), without usage (UNKNOWN_USAGE), where a part of the tokens exceeds the
        whole (INCONSISTENT), and for operations that no model answers (NO_MODEL).
        """
        if call.cache_hit:
            return 0, Reason.CACHE_HIT, self.listed(call)[2] or nano(call.cost_usd or 0)
        if call.cost_usd is not None:
            given = nano(call.cost_usd)
            return given, Reason.GIVEN, self._grown(given, call)
        return self.listed(call)

    def _grown(self, given: int, call: Call) -> int:
        if not (given and (call.cached_tokens or call.cache_write_tokens or call.cache_write_1h_tokens)):
            return given
        cost, _, gross = self.listed(call)
        return min(given * gross // cost, max(given, MOST_GIVEN)) if cost else given

    def listed(self, call: Call) -> Cost:
        """What `assess` says without regard to a given cost and to the gateway's cache."""
        if call.operation != "chat" and call.operation not in MODEL_OPERATIONS:
            return _NO_MODEL
        if call.input_tokens is None and call.output_tokens is None:
            return _UNKNOWN_USAGE
        if get_snapshot() is not self._snapshot:
            self._snapshot, self._rates = get_snapshot(), {}
        key = (call.provider, call.model, call.service_tier)
        rate = self._rates.get(key)
        if rate is None:
            if len(self._rates) >= _REMEMBERED:
                self._rates.clear()
            rate = self._rates[key] = self._rate(*key)
        return rate(call)

    def _rate(self, provider: str | None, model: str, tier: str | None) -> Rate:
        everyone, model = self._snapshot.providers, model.lower()
        names = [(canonical(provider, everyone) if provider else None, model)]
        if "/" in model:
            prefix, _, rest = model.partition("/")
            names.append((names[0][0] or canonical(prefix, everyone), rest))
        for source, name in names:
            own = self._own.find(source, name)
            if own:
                return by_time(own, CONTEXTS[tier])
        for source, name in names:
            found = self._find(source, name)
            if found:
                # genai-prices gives variants only for a provider's own models.
                lent = not any(found[1] is model for model in found[0].models)
                discount = self._own.discounts.get(found[0].id, Decimal(0))
                return by_time(found[1], {} if lent else CONTEXTS[tier], 1 - Fraction(discount))
        return unpriced

    def _find(self, provider: str | None, model: str) -> tuple[Provider, ModelInfo] | None:
        # Not by the snapshot's own lookups: they remember every miss for ever.
        everyone = self._snapshot.providers
        if provider and provider != "litellm":
            source = find_provider_by_id(everyone, provider)
        else:
            source = _maker(model, everyone)
        found = source.find_model(model, all_providers=everyone) if source else None
        return (source, found) if source and found else None

    def warnings(self) -> list[str]:
        """Own prices that are 100 times off what the same model, or most models, cost elsewhere."""
        usual = sorted(
            filter(None, (_input(model) for one in self._snapshot.providers for model in one.models))
        )
        lines = []
        for (provider, name), model in self._own.models.items():
            listed = self._find(provider or None, name)
            theirs = _input(listed[1]) if listed else usual[len(usual) // 2]
            ours = _input(model)
            if ours and theirs and not 1 / _FAR_OFF < ours / theirs < _FAR_OFF:
                lines.append(
                    f"{name}: ${ours} for a million input tokens, but "
                    f"{'it is listed' if listed else 'models usually are'} at ${theirs}: "
                    "was a price per token taken for one per million, or the other way round?"
                )
        return lines


def _maker(model: str, providers: list[Provider]) -> Provider | None:
    known = [one for one in providers if one.model_match]
    for one in known:
        if one.model_match and one.model_match.is_match(model):
            return one
    # The name's form tells no maker: take the one who lists it, if it is only one.
    listing = [one for one in known if one.find_model(model)]
    return listing[0] if len(listing) == 1 else None


def _input(model: ModelInfo) -> Decimal | None:
    prices = model.prices if isinstance(model.prices, ModelPrice) else model.prices[-1].prices
    value = prices.input_mtok
    return value.base if isinstance(value, TieredPrices) else value


def nano(usd: float) -> int:
    """Dollars as integer nano-dollars, rounded half to even as the decimal number that is written.

    >>> nano(0.0001542)
    154200
    """
    scaled = usd * 1e9
    whole = round(scaled)
    # Near a half, and where floats are coarse, the binary product may lie on the wrong side.
    if scaled < 1e12 and abs(abs(scaled - whole) - 0.5) > 1e-3:
        return whole
    return int(Decimal(repr(usd)).scaleb(9).to_integral_value(ROUND_HALF_EVEN))
