"""Reads a file of custom prices, TOML or JSON.

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
JSON (model → input_cost_per_token, input_cost_per_token_flex …) is read as well.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, PriceVariant, Tier, TieredPrices

from llmvitals.errors import ConfigError
from llmvitals.price.rates import CONTEXTS, PRICE_KEYS, canonical

_TIERS: Final = ("batch", "flex", "priority", "fast")
_WHOLES: Final = {key: f"{side}_mtok" for side, keys in {
    "input": ("cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok"),
    "output": ("output_reasoning_mtok", "output_audio_mtok"),
}.items() for key in keys}  # fmt: skip
_LITELLM: Final = {
    "input_cost_per_token": "input_mtok",
    "output_cost_per_token": "output_mtok",
    "cache_read_input_token_cost": "cache_read_mtok",
    "cache_creation_input_token_cost": "cache_write_mtok",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_mtok",
    "output_cost_per_reasoning_token": "output_reasoning_mtok",
    "input_cost_per_audio_token": "input_audio_mtok",
    "output_cost_per_audio_token": "output_audio_mtok",
}
_LITELLM_KEY: Final = re.compile(
    rf"({'|'.join(_LITELLM)})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?"
)


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
        if path.suffix == ".toml":
            data: Any = tomllib.loads(text, parse_float=Decimal)
        else:
            data = json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"The prices can't be read from {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is neither TOML (named .toml) nor JSON: {error}") from error
    try:
        return _parsed(data)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _parsed(data: object) -> CustomPrices:
    tables = _table(data, "the file")
    custom = CustomPrices()
    if tables.keys() <= {"models", "discounts"}:
        for name, entry in _table(tables.get("models", {}), "models").items():
            _add(custom, name, _table(entry, name), _native)
        for provider, share in _table(tables.get("discounts", {}), "discounts").items():
            custom.discounts[_provider(provider)] = _discount(share, provider)
        return custom
    for name, entry in tables.items():
        values = _table(entry, name)
        if not any("cost" in key or key == "litellm_provider" for key in values):
            raise ValueError(
                f"{name}: write [models.{name!r}] with input_mtok and output_mtok, or LiteLLM's JSON"
            )
        _add(custom, name, values, _litellm)
    return custom


def _add(custom: CustomPrices, name: str, entry: Mapping[str, Any], reader: Any) -> None:
    prices: dict[str | None, dict[str, Decimal | TieredPrices]] = reader(name, entry)
    if not prices.get(None):
        return
    for key in prices[None]:
        whole = _WHOLES.get(key, key)
        if whole not in prices[None]:
            raise ValueError(f"{name}: {whole} is missing: {key} is the price of a part of these tokens")
    model = name.lower()
    provider = str(entry.get("provider") or entry.get("litellm_provider") or "")
    info = ModelInfo(
        id=name,
        match=ClauseEquals(model),
        prices=ModelPrice(**prices.pop(None)),
        price_variants=[PriceVariant(CONTEXTS[tier], ModelPrice(**part)) for tier, part in prices.items()],
    )
    owner = _provider(provider) if provider else ""
    custom.models[owner, model] = info
    prefix, _, rest = model.partition("/")
    if rest and _provider(prefix) == owner:
        custom.models.setdefault((owner, rest), info)


def _native(name: str, entry: Mapping[str, Any]) -> dict[str | None, dict[str, Decimal | TieredPrices]]:
    prices: dict[str | None, dict[str, Decimal | TieredPrices]] = {None: {}}
    for key, value in entry.items():
        if key in _TIERS:
            inner = _table(value, f"{name}.{key}")
            prices[key] = {
                price: _price(value_of_price, f"{name}.{key}.{price}", price)
                for price, value_of_price in inner.items()
            }
        elif key != "provider":
            prices[None][key] = _price(value, f"{name}.{key}", key)
    if not prices[None]:
        raise ValueError(f"{name}: has no price; write input_mtok and output_mtok")
    return prices


def _litellm(name: str, entry: Mapping[str, Any]) -> dict[str | None, dict[str, Decimal | TieredPrices]]:
    prices: dict[str | None, dict[str, Decimal | TieredPrices]] = {}
    steps: dict[tuple[str | None, str], list[Tier]] = {}
    for key, value in entry.items():
        match = _LITELLM_KEY.fullmatch(key)
        if not match or value is None or isinstance(value, str):
            continue
        price = _number(value, f"{name}.{key}") * 1_000_000
        tier = "batch" if match[3] == "batches" else match[3]
        if match[2]:
            steps.setdefault((tier, _LITELLM[match[1]]), []).append(Tier(int(match[2]) * 1_000, price))
        else:
            prices.setdefault(tier, {})[_LITELLM[match[1]]] = price
    for (tier, key), tiers in steps.items():
        base = prices.get(tier, {}).get(key)
        if isinstance(base, Decimal):
            prices[tier][key] = TieredPrices(base, tiers)
    return prices


def _price(value: Any, where: str, key: str) -> Decimal | TieredPrices:
    if key not in PRICE_KEYS:
        raise ValueError(f"{where}: there is no such price; write one of {', '.join(PRICE_KEYS)}")
    if not isinstance(value, Mapping):
        return _number(value, where)
    if value.keys() != {"base", "tiers"} or not isinstance(value["tiers"], list):
        raise ValueError(f"{where}: write {{ base = …, tiers = [{{ start = …, price = … }}] }}")
    tiers = []
    for tier in value["tiers"]:
        start = _table(tier, where).get("start")
        if tier.keys() != {"start", "price"} or type(start) is not int or start < 0:
            raise ValueError(f"{where}: a tier is {{ start = whole number of tokens, price = … }}")
        tiers.append(Tier(start, _number(tier["price"], where)))
    return TieredPrices(_number(value["base"], where), tiers)


def _number(value: Any, where: str) -> Decimal:
    number = Decimal(value) if type(value) in (int, Decimal) else Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= 1_000_000:
        raise ValueError(f"{where}: a price is a number of dollars, 0 to 1,000,000")
    return number


def _discount(value: Any, provider: str) -> Decimal:
    share = _number(value, f"discounts.{provider}")
    if share >= 1:
        raise ValueError(f"discounts.{provider}: write the share that is taken off, such as 0.15")
    return share


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: a table of names and values is due here")  # noqa: TRY004 - see `read`
    return value


def _provider(name: str) -> str:
    return canonical(name, get_snapshot().providers)
