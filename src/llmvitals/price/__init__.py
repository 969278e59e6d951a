"""Computes the price of a call in integer nano-dollars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id, get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from llmvitals.errors import near
from llmvitals.price import litellm
from llmvitals.price.columns import list_costs
from llmvitals.price.cost import Cost, Costs, Reason, nano, needs_list_price, own_cost
from llmvitals.price.custom import CustomPrices, read
from llmvitals.price.litellm import ListedPrices
from llmvitals.price.price_list import UNKNOWN_TIER, UNPRICED
from llmvitals.price.rates import ALIASES, CONTEXTS, Key, Schedule, always, by_time, canonical
from llmvitals.price.unmetered import WRITES, Unmetered, unmetered
from llmvitals.record.call import MODEL_OPERATIONS, Call
from llmvitals.record.tokens import TokenColumns
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from llmvitals.settings import Settings

__all__ = ["Cost", "Costs", "Listing", "Prices", "Reason", "nano"]

_REMEMBERED: Final = 10_000
_NAMED: Final = 50
"""Unknown models that are named: to find the nearest known one takes up to a tenth of a second."""
_FAR_OFF: Final = 100
_NEWEST: Final = 4_102_444_800_000
"""A time after the start of every price list: the year 2100, ms."""
_FEW: Final = 1_000
"""Tokens below the tiers of every price list, and enough for exact prices."""

_BEDROCK: Final = "aws"
_BEDROCK_VENDORS: Final = (
    "amazon", "meta", "cohere", "mistral", "ai21", "deepseek", "openai", "qwen", "anthropic",
)  # fmt: skip
"""What Bedrock's names of models begin with, and what OpenLLMetry leaves out."""

_NO_MODEL: Final[Cost] = (None, Reason.NO_MODEL, 0)
_UNKNOWN_USAGE: Final[Cost] = (None, Reason.UNKNOWN_USAGE, 0)
_PARTIAL_USAGE: Final[Cost] = (None, Reason.PARTIAL_USAGE, 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """A price list that was found.

    source: "price file", "genai-prices" or "LiteLLM". provider: canonical; "" where the model tells it.
    tiers: whether the service tiers of the list hold here.
    """

    source: str
    provider: str
    model: ModelInfo
    tiers: bool = True

    @property
    def own(self) -> bool:
        """Whether these are custom prices."""
        return self.source == "price file"


class Prices:
    """Prices of models: custom ones, then those of genai-prices, then those of LiteLLM's price file.

    Each is compiled when it is first used.

    custom: a TOML or JSON file, see `price.custom`. listed: LiteLLM's price file, in place of the extract
    that is shipped. Raises ConfigError if one of them is wrong.
    """

    def __init__(self, custom: Path | None = None, listed: Path | None = None) -> None:
        self._custom = read(custom) if custom else CustomPrices()
        self._listed_file = litellm.read(listed) if listed else None
        self._snapshot: DataSnapshot = get_snapshot()
        self._schedules: dict[Key, Schedule] = {}
        self._unknown: dict[tuple[str | None, str], str | None] = {}

    @classmethod
    def of(cls, settings: Settings) -> Prices:
        """The prices that the settings name. Raises ConfigError if a file is wrong."""
        return cls(settings.prices, settings.listed_prices)

    @property
    def _litellm(self) -> ListedPrices:
        # The shipped list is only read when a model is unknown to genai-prices.
        return self._listed_file or litellm.shipped()

    @property
    def custom(self) -> CustomPrices:
        """The custom prices."""
        return self._custom

    def price(self, call: Call) -> int | None:
        """The cost of a call in nano-dollars; None if it is unknown."""
        return self.assess(call)[0]

    def assess(self, call: Call) -> Cost:
        """The cost of a call in nano-dollars, the reason, and the cost without any cache.

        A given cost is used as it is. A hit in the gateway's cache costs 0. Without any cache, cached and
        cache-written tokens have the price of other input, a gateway's hit has its list price, and a given
        cost grows in proportion to the list price. The cost is None for an unknown model (UNPRICED), for a
        service tier without a list price (UNKNOWN_TIER), without usage (UNKNOWN_USAGE), if a chat tells only
        its input or only its output (PARTIAL_USAGE), if a part of the tokens exceeds the whole
        (INCONSISTENT), and for operations that no model answers (NO_MODEL).
        """
        if call.cost_usd is None and not call.cache_hit:
            return self.listed(call)
        return own_cost(call, self.listed(call) if needs_list_price(call) else _UNKNOWN_USAGE)

    def listed(self, call: Call) -> Cost:
        """The list price: as `assess`, but without a given cost and the gateway's cache."""
        if call.operation != "chat" and call.operation not in MODEL_OPERATIONS:
            return _NO_MODEL
        if call.input_tokens is None and call.output_tokens is None:
            return _UNKNOWN_USAGE
        schedule = self._schedule((call.provider, call.model, call.service_tier))
        cost = (schedule.constant or schedule.at(call)).cost(call)
        half = call.input_tokens is None or call.output_tokens is None
        return _PARTIAL_USAGE if half and cost[0] is not None and call.operation in WRITES else cost

    def assess_all(self, calls: Sequence[Call], used: TokenColumns) -> Costs:
        """The same as `assess` of each call. used: their tokens. Raises OverflowError beyond 64 bits."""
        own = [place for place, call in enumerate(calls) if call.cost_usd is not None or call.cache_hit]
        scaled = [place for place in own if needs_list_price(calls[place])]
        given = sorted({*own}.difference(scaled))
        costs = list_costs(calls, used, self._schedule, given)
        costs.give(given, [calls[place].cost_usd or 0 for place in given])
        listed = zip(costs.nano[scaled].tolist(), repeat(Reason.PRICED), costs.gross[scaled].tolist())
        costs.put(scaled, [own_cost(calls[place], cost) for place, cost in zip(scaled, listed, strict=True)])
        return costs

    def unmetered(self, call: Call) -> Unmetered | None:
        """What a call without a cost may have cost; None if nobody bills it, or if its tokens are known."""
        return unmetered(call, self.listed)

    def unknown(self) -> Mapping[str, str]:
        """The first unknown models that were asked for, 50 at most: name → the nearest known one, or ""."""
        for (provider, model), nearest in self._unknown.items():
            if nearest is None:
                self._unknown[provider, model] = self.nearest(provider, model) or ""
        return {
            f"{provider or UNKNOWN}/{model}": nearest or ""
            for (provider, model), nearest in self._unknown.items()
        }

    def ratio(self, model: str) -> float | None:
        """The newest list price of an answer token in prompt tokens; 0 if its tokens cost nothing.

        None for a model without a known price, or with a price for one kind of tokens only.
        """
        call: dict[str, Any] = {"id": "", "ts": _NEWEST, "model": model}
        none, prompt, answer = (
            self.listed(Call(**call, input_tokens=size, output_tokens=output))[0]
            for size, output in ((0, 0), (_FEW, 0), (0, _FEW))
        )
        if none is None or prompt is None or answer is None:
            return None
        prompt, answer = prompt - none, answer - none
        return answer / prompt if prompt and answer else None if prompt or answer else 0.0

    def find(self, provider: str | None, model: str) -> Listing | None:
        """The price list of a model, and where it comes from; None for an unknown model.

        provider: as a call names it; None: told by the model.
        """
        names = self._names(provider, model)
        if names[0][0] == _BEDROCK and "." not in model:
            names += [(_BEDROCK, f"{vendor}.{model.lower()}") for vendor in _BEDROCK_VENDORS]
        for source, name in names:
            custom = self._custom.find(source, name)
            if custom:
                return Listing("price file", source or "", custom)
        for source, name in names:
            listed = self._find(source, name)
            if listed:
                # genai-prices gives variants only for a provider's own models.
                own = any(listed[1] is model for model in listed[0].models)
                return Listing("genai-prices", listed[0].id, listed[1], tiers=own)
        for source, name in names:
            found = self._litellm.find(source, name)
            if found:
                return Listing("LiteLLM", *found)
        return None

    def nearest(self, provider: str | None, model: str) -> str | None:
        """The known model with the nearest name, first at the same provider; None if none is near."""
        source, bare = self._names(provider, model)[-1]
        for owner in dict.fromkeys([source, None]):
            listed = [
                known.id
                for one in self._snapshot.providers
                if owner in (None, one.id)
                for known in one.models
            ]
            custom = [name for at, name in self._custom.models if owner in (None, at)]
            if found := near(bare, [*self._litellm.names_at(owner), *listed, *custom]):
                return found
        return None

    def _schedule(self, key: Key) -> Schedule:
        if get_snapshot() is not self._snapshot:
            self._snapshot, self._schedules = get_snapshot(), {}
        schedule = self._schedules.get(key)
        if schedule is None:
            if len(self._schedules) >= _REMEMBERED:
                self._schedules.clear()
            schedule = self._schedules[key] = self._compiled(*key)
        return schedule

    def _compiled(self, provider: str | None, model: str, tier: str | None) -> Schedule:
        listing = self.find(provider, model)
        if listing is None:
            if len(self._unknown) < _NAMED and model:
                self._unknown.setdefault((provider, model), None)
            return always(UNPRICED)
        if CONTEXTS[tier] and not listing.tiers:
            return always(UNKNOWN_TIER)
        discount = Decimal(0) if listing.own else self._custom.discounts.get(listing.provider, Decimal(0))
        return by_time(listing.model, CONTEXTS[tier], 1 - Fraction(discount))

    def _names(self, provider: str | None, model: str) -> list[tuple[str | None, str]]:
        """The names that a call's model may be listed under, each with its provider if one is known."""
        providers, model = self._snapshot.providers, model.lower()
        # The gateway is no provider.
        owner = canonical(provider, providers) if provider and provider != "litellm" else None
        names = [(owner, model)]
        prefix, _, rest = model.partition("/")
        if prefix and rest and self._is_provider(prefix):
            names.append((owner or canonical(prefix, providers), rest))
        return names

    def _is_provider(self, prefix: str) -> bool:
        """Whether the part of a model's name before the first / names a provider, not who made the model."""
        providers = self._snapshot.providers
        name = canonical(prefix, providers)
        own = {provider for provider, _ in self._custom.models}
        return (
            name in ALIASES.values()
            or name in own
            or find_provider_by_id(providers, name) is not None
            or name in self._litellm.providers
        )

    def _find(self, provider: str | None, model: str) -> tuple[Provider, ModelInfo] | None:
        # The snapshot's own lookups are not used, because they cache every miss for ever.
        providers = self._snapshot.providers
        source = find_provider_by_id(providers, provider) if provider else _provider_of(model, providers)
        info = source.find_model(model, all_providers=providers) if source else None
        return (source, info) if source and info else None

    def warnings(self) -> list[str]:
        """Warnings about custom prices that differ by a factor of 100 from listed or usual prices."""
        models = chain.from_iterable(provider.models for provider in self._snapshot.providers)
        usual = sorted(filter(None, map(_input, models)))
        lines = []
        for (provider, name), model in self._custom.models.items():
            listed = self._find(provider or None, name)
            usual_price = _input(listed[1]) if listed else usual[len(usual) // 2]
            custom_price = _input(model)
            if custom_price and usual_price and not 1 / _FAR_OFF < custom_price / usual_price < _FAR_OFF:
                lines.append(
                    f"{name}: ${custom_price} for a million input tokens, but "
                    f"{'it is listed' if listed else 'models usually are'} at ${usual_price}: "
                    "is it a price for one token instead of a million, or the other way round?"
                )
        return lines


def _provider_of(model: str, providers: list[Provider]) -> Provider | None:
    known = [provider for provider in providers if provider.model_match]
    for provider in known:
        if provider.model_match and provider.model_match.is_match(model):
            return provider
    # If the name does not identify the provider, take the only one that lists the model.
    listing = [provider for provider in known if provider.find_model(model)]
    return listing[0] if len(listing) == 1 else None


def _input(model: ModelInfo) -> Decimal | None:
    prices = model.prices if isinstance(model.prices, ModelPrice) else model.prices[-1].prices
    value = prices.input_mtok
    return value.base if isinstance(value, TieredPrices) else value
