"""LiteLLM's price file: read as a whole, and shipped as the list of models that genai-prices does not know."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from llmvitals.errors import ConfigError
from llmvitals.price import Prices, Reason
from llmvitals.price.litellm import ListedPrices, extract, shipped
from llmvitals.record.call import Call

PRICES: Final[dict[str, Any]] = {
    "sample_spec": {"input_cost_per_token": 0, "litellm_provider": "one of https://…", "mode": "one of …"},
    "fallback_generalizations": {"rules": [{"name": "a rule", "pattern": "^claude-"}]},
    "bulk/big": {
        "litellm_provider": "bulk", "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06,
        "cache_creation_input_token_cost": 3e-06, "cache_creation_input_token_cost_above_1hr": 5e-06,
        "input_cost_per_token_above_200k_tokens": 8e-06, "input_cost_per_token_ultrafast": 1,
        "supports_vision": True, "source": "https://…",
    },
    "bulk/big-latest": {"alias_of": "bulk/big"},
    "bulk/lost-latest": {"alias_of": "bulk/lost"},
    "bulk/listens": {"litellm_provider": "bulk", "input_cost_per_audio_token": 1e-06, "output_cost_per_token": 0},
    "bulk/paints": {"litellm_provider": "bulk", "input_cost_per_token": 5e-06, "output_cost_per_image_token": 4e-05},
    "bulk/by-hour": {"litellm_provider": "bulk", "input_cost_per_second": 0.1, "mode": "audio_transcription"},
    "azure/twin": {"litellm_provider": "azure", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
    "azure_ai/twin": {"litellm_provider": "azure_ai", "input_cost_per_token": 2e-06, "output_cost_per_token": 2e-06},
}  # fmt: skip


def call(model: str, provider: str | None = None, **usage: int) -> Call:
    usage = usage or {"input_tokens": 1_000, "output_tokens": 100}
    return Call(id="a", ts=1_790_000_000_000, model=model, provider=provider, **usage)


def own(folder: Path, tables: dict[str, Any]) -> Prices:
    path = folder / "model_prices_and_context_window.json"
    path.write_text(json.dumps(tables))
    return Prices(path)


def test_the_whole_file_is_accepted(tmp_path: Path) -> None:
    prices = own(tmp_path, PRICES)
    cost = 1_000 * 2_000 + 100 * 4_000
    for name in ("bulk/big", "big", "bulk/big-latest", "BULK/BIG"):
        assert prices.price(call(name)) == prices.price(call(name, "bulk")) == cost
    assert prices.assess(call("bulk/lost-latest")) == (None, Reason.UNPRICED, 0)
    assert prices.assess(call("bulk/by-hour")) == (None, Reason.UNPRICED, 0)
    assert prices.assess(call("sample_spec")) == (None, Reason.UNPRICED, 0)
    written = call("big", input_tokens=9, cache_write_tokens=9, cache_write_1h_tokens=4, output_tokens=0)
    assert prices.price(written) == 5 * 3_000 + 4 * 5_000
    assert prices.price(call("big", input_tokens=200_001, output_tokens=0)) == 200_001 * 8_000


def test_a_model_of_audio_or_images_only_takes_all_tokens_as_such(tmp_path: Path) -> None:
    prices = own(tmp_path, PRICES)
    assert prices.price(call("bulk/listens")) == 1_000 * 1_000
    assert prices.price(call("bulk/paints")) == 1_000 * 5_000 + 100 * 40_000


def test_azure_ai_is_not_azure(tmp_path: Path) -> None:
    prices = own(tmp_path, PRICES)
    assert prices.price(call("twin", "azure")) == prices.price(call("azure/twin")) == 1_100_000
    assert prices.price(call("twin", "azure_ai")) == prices.price(call("azure_ai/twin")) == 2_200_000


def test_a_wrong_price_is_named_with_its_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bulk/big\.input_cost_per_token: a price is a number"):
        own(tmp_path, {"bulk/big": {"litellm_provider": "bulk", "input_cost_per_token": -1}})


def test_models_that_genai_prices_does_not_know_have_the_shipped_price() -> None:
    listing = Prices().find("deepinfra", "meta-llama/Llama-3.3-70B-Instruct")
    assert listing is not None
    assert (listing.source, listing.provider) == ("LiteLLM", "deepinfra")
    known = Prices().find("openai", "gpt-4o")
    assert known is not None
    assert known.source == "genai-prices"
    for model in ("deepinfra/meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"):
        assert Prices().price(call(model, "deepinfra"))
    # Another provider's price is not taken.
    assert Prices().price(call("meta-llama/Llama-3.3-70B-Instruct", "no-such-cloud")) is None


def test_a_discount_is_taken_off_the_shipped_price_too(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[discounts]\ndeepinfra = 0.5\n")
    one = call("deepinfra/meta-llama/Llama-3.3-70B-Instruct", input_tokens=2_000_000, output_tokens=0)
    assert Prices(path).price(one) == (Prices().price(one) or 0) // 2


def test_fewer_than_a_tenth_of_the_shipped_models_are_unpriced() -> None:
    prices, models = Prices(), shipped().models
    assert len(models) > 3_500
    for named in (True, False):
        missing = [
            name for name, entry in models.items()
            if prices.price(call(name[:128], entry["litellm_provider"] if named else None)) is None
        ]  # fmt: skip
        assert len(missing) < len(models) / 100, missing


def test_the_extract_has_the_priced_models_and_nothing_else() -> None:
    tables = json.loads(json.dumps(PRICES), parse_float=Decimal)
    found = extract(tables)
    assert found == extract(dict(reversed(tables.items())))
    listed = ListedPrices(json.loads(gzip.decompress(found), parse_float=Decimal))
    assert sorted(listed.models) == sorted(
        ("bulk/big", "bulk/big-latest", "bulk/listens", "bulk/paints", "azure/twin", "azure_ai/twin")
    )
    assert listed.models["bulk/big"].keys() == {
        "litellm_provider", "input_cost_per_token", "output_cost_per_token", "cache_creation_input_token_cost",
        "cache_creation_input_token_cost_above_1hr", "input_cost_per_token_above_200k_tokens",
    }  # fmt: skip


def test_a_name_without_provider_is_priced_only_if_it_is_clear() -> None:
    tables = json.loads(json.dumps(PRICES), parse_float=Decimal)
    listed = ListedPrices(tables)
    assert listed.find(None, "twin") is None
    assert (listed.find(None, "azure/twin") or ("",))[0] == "azure"
    assert (listed.find(None, "big") or ("",))[0] == "bulk"
    assert listed.find("azure", "big") is None


@pytest.mark.parametrize(
    ("provider", "model", "nearest"),
    [
        ("openai", "gpt-4o-minni", "gpt-4o-mini"),
        (None, "openai/gpt-4o-minni", "gpt-4o-mini"),
        ("anthropic", "claude-sonet-4-5", "claude-sonnet-4-5"),
        ("no-such-cloud", "gpt-4o-minni", "gpt-4o-mini"),
        (None, "xq", None),
    ],
)
def test_the_nearest_known_model(provider: str | None, model: str, nearest: str | None) -> None:
    assert Prices().nearest(provider, model) == nearest
