"""Reads LiteLLM's price file, and the extract of it that llmvitals ships.

Source: model_prices_and_context_window.json of https://github.com/BerriAI/litellm, MIT license, see
`data/LICENSE`. The extract has the models that are priced by token, with the fields that are read here.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Tier, TieredPrices

from llmvitals.errors import ConfigError
from llmvitals.price.model_prices import WHOLES, Tiers, model_info, number, table
from llmvitals.price.rates import canonical

SHIPPED: Final = Path(__file__).with_name("data") / "litellm.json.gz"

_KEYS: Final = {
    "input_cost_per_token": "input_mtok",
    "output_cost_per_token": "output_mtok",
    "cache_read_input_token_cost": "cache_read_mtok",
    "cache_creation_input_token_cost": "cache_write_mtok",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_mtok",
    "output_cost_per_reasoning_token": "output_reasoning_mtok",
    "input_cost_per_audio_token": "input_audio_mtok",
    "output_cost_per_audio_token": "output_audio_mtok",
    "cache_read_input_audio_token_cost": "cache_audio_read_mtok",
    "input_cost_per_image_token": "input_image_mtok",
    "output_cost_per_image_token": "output_image_mtok",
}
_KEY: Final = re.compile(rf"({'|'.join(_KEYS)})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?")
_SAMPLE: Final = "sample_spec"
_ONLY: Final = {
    "input_mtok": ("input_audio_mtok", "input_image_mtok"),
    "output_mtok": ("output_audio_mtok", "output_image_mtok"),
}
"""A model without the price of a text token takes only these: all its tokens are of this kind."""
_LINKS: Final = 5


def entries(models: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The models of a file, with aliases resolved. Whatever is no table stays, for the caller to refuse.

    LiteLLM's own file has sections that are no models, such as `fallback_generalizations`; they are left out.
    """
    whole = any(isinstance(entry, Mapping) and "litellm_provider" in entry for entry in models.values())
    found = {
        name: entry
        for name, entry in models.items()
        if name != _SAMPLE and not (whole and isinstance(entry, Mapping) and not is_entry(entry))
    }
    for name, entry in found.items():
        target = entry
        for _ in range(_LINKS):
            if not (isinstance(target, Mapping) and isinstance(target.get("alias_of"), str)):
                break
            target = found.get(target["alias_of"], {})
        found[name] = target
    return found


def is_entry(entry: Mapping[str, Any]) -> bool:
    """Whether a table looks like a model of LiteLLM's file; that of an alias without a target is empty."""
    return not entry or any("cost" in key or key in ("litellm_provider", "mode", "alias_of") for key in entry)


def provider(entry: Mapping[str, Any]) -> str:
    """The canonical name of the provider; "" for none."""
    name = entry.get("litellm_provider")
    return _canonical(name) if isinstance(name, str) and name else ""


def names(key: str, owner: str) -> list[str]:
    """The names of a model at its provider, in lower case: the key, and without the provider's prefix."""
    found = [key.lower()]
    prefix, _, rest = found[-1].partition("/")
    if rest and _canonical(prefix) == owner:
        found.append(rest)
    return found


def prices(name: str, entry: Mapping[str, Any]) -> Tiers:
    """The prices of a model; {} without any. Raises ValueError that names the key that is wrong."""
    found: Tiers = {}
    steps: dict[tuple[str | None, str], list[Tier]] = {}
    for key, value in entry.items():
        match = _KEY.fullmatch(key)
        if not match or value is None or isinstance(value, str):
            continue
        price = number(value, f"{name}.{key}") * 1_000_000
        tier = "batch" if match[3] == "batches" else match[3]
        if match[2]:
            steps.setdefault((tier, _KEYS[match[1]]), []).append(Tier(int(match[2]) * 1_000, price))
        else:
            found.setdefault(tier, {})[_KEYS[match[1]]] = price
    for (tier, key), tiers in steps.items():
        base = found.get(tier, {}).get(key)
        if isinstance(base, Decimal):
            found[tier][key] = TieredPrices(base, tiers)
    return _whole(found)


def _whole(found: Tiers) -> Tiers:
    """Give every part its whole, or leave it out."""
    plain = found.get(None, {})
    for tier in found.values():
        for whole, kinds in _ONLY.items():
            only = [tier[kind] for kind in kinds if kind in tier]
            if whole not in plain and len(only) == 1:
                tier.setdefault(whole, only[0])
    return {
        tier: {key: price for key, price in part.items() if WHOLES.get(key, key) in plain}
        for tier, part in found.items()
    } if plain else {}  # fmt: skip


@cache
def _canonical(name: str) -> str:
    return canonical(name, get_snapshot().providers)


class ListedPrices:
    """The models of LiteLLM's file by name. The prices of a model are read when they are first asked for."""

    def __init__(self, models: Mapping[str, Any]) -> None:
        self.models: dict[str, Mapping[str, Any]] = {}
        self.providers: set[str] = set()
        self._keys: dict[tuple[str, str], str] = {}
        self._entries: dict[str, str] = {}
        self._owners: dict[str, set[str]] = {}
        short: list[tuple[str, str, str]] = []
        for key, entry in entries(models).items():
            owner = provider(entry)
            self.models[key] = entry
            self.providers.add(owner)
            whole, *rest = names(key, owner)
            self._keys[owner, whole] = key
            self._entries.setdefault(whole, owner)
            self._owners.setdefault(whole, set()).add(owner)
            short += [(owner, name, key) for name in rest]
        # A name that is written so in the file goes before the same name without a prefix.
        for owner, name, key in short:
            self._keys.setdefault((owner, name), key)
            self._owners.setdefault(name, set()).add(owner)

    def find(self, owner: str | None, model: str) -> tuple[str, ModelInfo] | None:
        """The provider and the prices of a model, both names in lower case; None if there are none.

        owner: its provider, canonical; None: that of the file's own entry, else the only one with this name.
        """
        if owner is None:
            owners = self._owners.get(model, set())
            owner = self._entries.get(model) or (next(iter(owners)) if len(owners) == 1 else None)
        key = None if owner is None else self._keys.get((owner, model))
        if owner is None or key is None:
            return None
        found = prices(key, self.models[key])
        return (owner, model_info(key, found)) if found.get(None) else None

    def names_at(self, owner: str | None) -> Iterable[str]:
        """The names of the models at a provider, or at any."""
        return (name for at, name in self._keys if owner in (None, at))


def tables(data: bytes, where: str) -> dict[str, Any]:
    """The tables of a price file, perhaps compressed by gzip. Raises ConfigError that names the place."""
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        found = json.loads(text, parse_float=Decimal)
        if not isinstance(found, dict) or not found:
            raise ValueError("no model is in it")  # noqa: TRY301 - what is wrong with the file
        for name, entry in entries(found).items():
            if not is_entry(table(entry, name)):
                raise ValueError(f"{name}: this is no model of LiteLLM's price file")  # noqa: TRY301
            prices(name, entry)
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise ConfigError(f"{where} is not LiteLLM's price file: {error}") from error
    return found


def read(path: Path) -> ListedPrices:
    """Read a price file. Raises ConfigError that names what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        cure = "write it with llmvitals prices update, or unset LLMVITALS_LISTED_PRICES"
        raise ConfigError(f"The listed prices can't be read from {path}: {error.strerror}; {cure}") from error
    return ListedPrices(tables(data, str(path)))


@cache
def shipped() -> ListedPrices:
    """The prices that llmvitals ships."""
    return ListedPrices(json.loads(gzip.decompress(SHIPPED.read_bytes()), parse_float=Decimal))


def extract(models: Mapping[str, Any]) -> bytes:
    """The file that is shipped: of each model that is priced by token, its provider and the prices read here.

    Equal tables give equal bytes. Raises ValueError that names what is wrong.
    """
    kept: dict[str, dict[str, Any]] = {}
    for key, entry in sorted(entries(models).items()):
        if prices(key, entry).get(None):
            fields = {name: entry[name] for name in sorted(entry) if _KEY.fullmatch(name)}
            kept[key] = {"litellm_provider": entry.get("litellm_provider", "")} | fields
    text = json.dumps(kept, default=float, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)
