"""Reads a file of custom prices: TOML, or the same tables in JSON or YAML.

    [models."my-llama"]
    provider = "my-cloud"                 # optional: without it, at any provider
    input_mtok = 0.20                     # dollars for a million tokens
    output_mtok = 0.60
    cache_read_mtok = 0.02
    batch = { input_mtok = 0.10, output_mtok = 0.30 }       # service tiers: batch, flex, priority, fast

    [models."my-long-one"]
    input_mtok = { base = 1.25, tiers = [{ start = 200000, price = 2.5 }] }
    output_mtok = 10

    [discounts]                           # off the listed prices of a provider
    openai = 0.15

A price that a tier leaves out is that of the model; calls in a tier that is left out are unpriced. LiteLLM's
JSON (model → input_cost_per_token, input_cost_per_token_flex …) is read as well, also its whole price file.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Tier, TieredPrices

from llmvitals.errors import ConfigError
from llmvitals.price import litellm
from llmvitals.price.model_prices import Price, Tiers, model_info, number, table
from llmvitals.price.price_list import PRICE_KEYS
from llmvitals.price.rates import canonical

_TIERS: Final = ("batch", "flex", "priority", "fast")


@dataclass(slots=True)
class CustomPrices:
    """Custom prices. models: (provider or "", model) → prices. discounts: provider → share, 0 ≤ share < 1."""

    models: dict[tuple[str, str], ModelInfo] = field(default_factory=dict)
    discounts: dict[str, Decimal] = field(default_factory=dict)

    def find(self, provider: str | None, model: str) -> ModelInfo | None:
        """The prices of a model at this provider, else at any. Both names are in lower case."""
        info = self.models.get((provider or "", model)) or self.models.get(("", model))
        if info or provider:
            return info
        return next((info for (_, name), info in self.models.items() if name == model), None)


def read(path: Path) -> CustomPrices:
    """Read a file. Raises ConfigError that names the model and the key that is wrong."""
    try:
        text = path.read_text("utf-8")
        data = _READERS.get(path.suffix, _READERS[".json"])(text)
    except OSError as error:
        raise ConfigError(f"The prices can't be read from {path}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is neither TOML (named .toml), YAML (.yaml) nor JSON: {error}") from error
    try:
        return _parsed(data)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


class _Loader(yaml.SafeLoader):
    """Reads numbers as they are written."""


def _decimal(_: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    try:
        return Decimal(node.value)
    except InvalidOperation:
        return Decimal("NaN")


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    ".toml": partial(tomllib.loads, parse_float=Decimal),
    ".json": partial(json.loads, parse_float=Decimal),
    ".yaml": _yaml,
    ".yml": _yaml,
}


def _parsed(data: object) -> CustomPrices:
    tables = table(data, "the file")
    custom = CustomPrices()
    if tables.keys() <= {"models", "discounts"}:
        for name, entry in table(tables.get("models", {}), "models").items():
            values = table(entry, name)
            owner = _provider(str(values.get("provider") or ""))
            _add(custom, litellm.names(name, owner), owner, _native(name, values))
        for provider, share in table(tables.get("discounts", {}), "discounts").items():
            custom.discounts[_provider(provider)] = _discount(share, provider)
        return custom
    for name, entry in litellm.entries(tables).items():
        values = table(entry, name)
        if not litellm.is_entry(values):
            raise ValueError(
                f"{name}: write [models.{name!r}] with input_mtok and output_mtok, or LiteLLM's JSON"
            )
        owner = litellm.provider(values)
        _add(custom, litellm.names(name, owner), owner, litellm.prices(name, values))
    return custom


def _add(custom: CustomPrices, names: Sequence[str], owner: str, prices: Tiers) -> None:
    """Add a model under its own name, and under further ones that nothing else has."""
    if not prices.get(None):
        return
    info = model_info(names[0], prices)
    custom.models[owner, names[0].lower()] = info
    for name in names[1:]:
        custom.models.setdefault((owner, name), info)


def _native(name: str, entry: Mapping[str, Any]) -> Tiers:
    prices: Tiers = {None: {}}
    for key, value in entry.items():
        if key in _TIERS:
            inner = table(value, f"{name}.{key}")
            prices[key] = {
                price: _price(value_of_price, f"{name}.{key}.{price}", price)
                for price, value_of_price in inner.items()
            }
        elif key != "provider":
            prices[None][key] = _price(value, f"{name}.{key}", key)
    if not prices[None]:
        raise ValueError(f"{name}: has no price; write input_mtok and output_mtok")
    return prices


def _price(value: Any, where: str, key: str) -> Price:
    if key not in PRICE_KEYS:
        raise ValueError(f"{where}: there is no such price; write one of {', '.join(PRICE_KEYS)}")
    if not isinstance(value, Mapping):
        return number(value, where)
    if value.keys() != {"base", "tiers"} or not isinstance(value["tiers"], list):
        raise ValueError(f"{where}: write {{ base = …, tiers = [{{ start = …, price = … }}] }}")
    tiers = []
    for tier in value["tiers"]:
        start = table(tier, where).get("start")
        if tier.keys() != {"start", "price"} or type(start) is not int or start < 0:
            raise ValueError(f"{where}: a tier is {{ start = whole number of tokens, price = … }}")
        tiers.append(Tier(start, number(tier["price"], where)))
    return TieredPrices(number(value["base"], where), tiers)


def _discount(value: Any, provider: str) -> Decimal:
    share = number(value, f"discounts.{provider}")
    if share >= 1:
        raise ValueError(f"discounts.{provider}: write the share that is taken off, such as 0.15")
    return share


def _provider(name: str) -> str:
    return canonical(name, get_snapshot().providers) if name else ""
