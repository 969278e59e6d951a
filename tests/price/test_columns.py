"""Many calls that are priced at once cost what each costs by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.price import Prices, Reason
from llmvitals.record.call import Call
from llmvitals.record.tokens import token_columns

OWN: Final = """
    [models.dear]
    input_mtok = 1000000
    output_mtok = 0.0000000001
    cache_read_mtok = 999999.9999999999

    [models.tiers]
    input_mtok = { base = 1.25, tiers = [{ start = 1000, price = 2.5 }, { start = 200000, price = 5 }] }
    cache_read_mtok = { base = 0.125, tiers = [{ start = 200000, price = 0.5 }] }
    output_mtok = 0.0005

    [models.media]
    input_mtok = 4
    cache_read_mtok = 0.5
    input_audio_mtok = 32
    cache_audio_read_mtok = 0.4
    input_image_mtok = 5
    output_mtok = 16
    output_reasoning_mtok = 17
    output_audio_mtok = 64
    output_image_mtok = 30
    requests_kcount = 0.03
"""
PARTS: Final = (
    "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens",
    "cached_audio_tokens", "image_input_tokens", "audio_output_tokens", "image_output_tokens",
)  # fmt: skip
MODELS: Final = [
    ("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro"), (None, "nobody"),
    ("deepseek", "deepseek-chat"), *((None, name) for name in ("dear", "tiers", "media")),
]  # fmt: skip
WHOLE: Final = st.sampled_from([None, 0, 1, 3, 1_000, 1_001, 200_000, 200_001, 99_999_999, 100_000_000])


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Prices:
    path: Path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(OWN)
    return Prices(path)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    provider, model = draw(st.sampled_from(MODELS))
    size, output = draw(WHOLE), draw(WHOLE)
    fields: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "input_tokens": size,
        "output_tokens": output,
    }
    for name in draw(st.sets(st.sampled_from(PARTS))):
        whole = (output if "output" in name or "reasoning" in name else size) or 0
        fields[name] = draw(st.sampled_from([None, 0, 1, whole // 3, whole, min(whole + 1, 100_000_000)]))
    return Call(
        id="a",
        ts=draw(
            st.sampled_from([0, 1_735_000_000_000, 1_745_000_000_000, 1_745_070_000_000, 1_790_000_000_000])
        ),
        operation=draw(st.sampled_from(["chat", "chat", "embedding", "tool"])),
        service_tier=draw(st.sampled_from([None, None, "batch", "flex", "other"])),
        cost_usd=draw(st.sampled_from([None, None, None, 0.0, 1e-9, 0.25, 10_000.0])),
        cache_hit=draw(st.sampled_from([None, None, False, True])),
        **fields,
    )


def together(prices: Prices, every: list[Call]) -> list[tuple[int, int, int]]:
    costs = prices.assess_all(every, token_columns(every))
    return list(zip(*(column.tolist() for column in costs), strict=True))


def one_by_one(prices: Prices, every: list[Call]) -> list[tuple[int, int, int]]:
    return [(nano or 0, int(reason), gross) for nano, reason, gross in map(prices.assess, every)]


@given(every=st.lists(calls(), min_size=20, max_size=40))
def test_together_as_one_by_one(prices: Prices, every: list[Call]) -> None:
    assert together(prices, every) == one_by_one(prices, every)


def test_every_listed_model_in_every_tier() -> None:
    prices = Prices()
    every = [
        Call(
            id="a", ts=1_790_000_000_000, provider=provider.id, model=model.id, service_tier=tier,
            input_tokens=size, cached_tokens=size // 3, output_tokens=77, reasoning_tokens=11,
        )
        for provider in get_snapshot().providers
        for model in provider.models
        for tier in (None, "batch")
        for size in (900, 300_001)
    ]  # fmt: skip
    for start in range(0, len(every), 500):
        part = every[start : start + 500]
        assert together(prices, part) == one_by_one(prices, part)


def test_sums_beyond_64_bits_are_exact(prices: Prices) -> None:
    """This list has prices that are so fine and so high that a sum in its unit needs more bits."""
    size, output = 99_999_999, 99_999_997
    call = Call(id="a", ts=0, model="dear", input_tokens=size, output_tokens=output)
    plain = Call(id="b", ts=0, model="tiers", input_tokens=4, output_tokens=0)
    # A dollar for a token of the input; for all of the output 10 nano-dollars, less than half of one missing.
    assert together(prices, [call, plain]) == [
        (size * 10**9 + 10, Reason.PRICED, size * 10**9 + 10),
        (5_000, Reason.PRICED, 5_000),
    ]


def test_only_models_whose_list_price_counts_are_unknown() -> None:
    """A given cost says nothing of the model's list price, unless a cache has made it smaller."""
    prices = Prices()
    used = {"id": "a", "ts": 0, "input_tokens": 9, "output_tokens": 1}
    every = [
        Call(**used, model="given", cost_usd=1.0),
        Call(**used, model="cached", cost_usd=1.0, cached_tokens=3),
        Call(**used, model="hit", cost_usd=1.0, cache_hit=True),
        Call(**used, model="asked"),
        Call(id="b", ts=0, model="unused"),
    ]
    together(prices, every)
    assert [name.partition("/")[2] for name in prices.unknown()] == ["cached", "hit", "asked"]
