"""Maps names of providers and service tiers to those of genai-prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import Provider

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


def canonical(name: str, providers: list[Provider]) -> str:
    """The canonical name of a provider: that of genai-prices if it knows it, else the name in lower case."""
    name = name.lower().strip()
    name = ALIASES.get(name, name)
    known = find_provider_by_id(providers, name)
    return known.id if known else name
