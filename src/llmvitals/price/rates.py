"""Selects the price list of a model by service tier and time.

Maps names of providers and service tiers to those of genai-prices.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TimeOfDateConstraint,
)

from llmvitals.price.price_list import UNKNOWN_TIER, PriceList, compiled
from llmvitals.record.call import Call, ended
from llmvitals.window import DAY

ALIASES: Final = {
    "gcp.gen_ai": "google",
    "azure.ai.inference": "azure",
    "az.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure_text": "azure",
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


_MODELS_OF: Final = re.compile(r"-[a-z0-9-]+[-_]models$")
"""The end of LiteLLM's `vertex_ai-mistral_models`: whose models this provider lends."""


def canonical(name: str, providers: list[Provider]) -> str:
    """The canonical name of a provider: that of genai-prices if it knows it, else the name in lower case."""
    name = _MODELS_OF.sub("", name.lower().strip())
    name = ALIASES.get(name, name)
    known = find_provider_by_id(providers, name)
    return known.id if known else name


Key = tuple[str | None, str, str | None]
"""What has a schedule: provider, model and service tier, as a call names them."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The price lists of a model by time.

    days: since when each row of lists holds, µs since 1970. hours: since when in a day each column holds, µs.
    Both begin with 0 and ascend.
    """

    days: Sequence[int]
    hours: Sequence[int]
    lists: Sequence[Sequence[PriceList]]

    @property
    def constant(self) -> PriceList | None:
        """The only list; None where the time decides."""
        return self.lists[0][0] if len(self.days) == len(self.hours) == 1 else None

    def at(self, call: Call) -> PriceList:
        """The list by the time of a call."""
        time = max(ended(call), 0)
        return self.lists[bisect_right(self.days, time) - 1][bisect_right(self.hours, time % DAY) - 1]


def always(prices: PriceList) -> Schedule:
    """The same price list at any time."""
    return Schedule((0,), (0,), ((prices,),))


def by_time(model: ModelInfo, context: dict[str, str], factor: Fraction = Fraction(1)) -> Schedule:
    """Compile the price lists of a model in a price context.

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
    table = [[compiled(prices, factor) if prices else UNKNOWN_TIER for prices in row] for row in lists]
    return Schedule(starts, hours, table)


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
