"""What a call costs: as genai-prices says, in integers, and never 0 by ignorance."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final

import pytest
from genai_prices import Usage, data_snapshot
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from llmvitals.errors import ConfigError
from llmvitals.price import Prices, Reason, nano
from llmvitals.price.cost import nanos
from llmvitals.record.call import Call

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTEXTS = {
    None: None,
    "default": {"service_tier": "default"},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
    "other": {"service_tier": "other"},
}
OURS_TO_THEIRS = {
    "input_tokens": "input_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "audio_input_tokens": "input_audio_tokens",
    "audio_output_tokens": "output_audio_tokens",
    "cached_audio_tokens": "cache_audio_read_tokens",
    "image_input_tokens": "input_image_tokens",
    "image_output_tokens": "output_image_tokens",
}
FIREWORKS = "accounts/fireworks/models/deepseek-v3p2"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USAGES = [
    {"input_tokens": 1_203, "output_tokens": 87},
    {"input_tokens": 210_007, "cached_tokens": 1_024, "output_tokens": 85, "reasoning_tokens": 64},
    {
        "input_tokens": 300_011,
        "cached_tokens": 128_955,
        "cache_write_tokens": 1_253,
        "cache_write_1h_tokens": 251,
        "output_tokens": 1_744,
    },
    {
        "input_tokens": 9_001,
        "audio_input_tokens": 777,
        "output_tokens": 555,
        "audio_output_tokens": 333,
        "reasoning_tokens": 3,
    },
    {
        "input_tokens": 9_001,
        "cached_tokens": 1_003,
        "audio_input_tokens": 777,
        "cached_audio_tokens": 301,
        "image_input_tokens": 499,
        "output_tokens": 555,
        "audio_output_tokens": 101,
        "image_output_tokens": 203,
    },
]


def call(**fields: object) -> Call:
    return Call(**({"id": "a", "ts": NOW, "model": "gpt-4o-mini"} | fields))


def rounded(dollars: Decimal) -> int:
    return int((dollars * 10**9).to_integral_value(ROUND_HALF_EVEN))


def named(model: ModelInfo, provider: Provider) -> str:
    """A name that this model goes by at its provider: not always its id."""

    def words(clause: object) -> list[str]:
        if isinstance(clause, dict):
            clause = clause.values()
        if isinstance(clause, str):
            return [clause]
        inner = clause if isinstance(clause, list) else list(vars(clause).values())
        return [word for part in inner for word in words(part)]

    found = words(model.match)
    for name in (model.id, *found, *(a + b for a in found for b in found)):
        if provider.find_model(name) is model:
            return name
    return model.id


def times(model: ModelInfo) -> list[datetime]:
    """Now, and just before and at every change of price."""
    found = {NOW}
    conditions = model.prices if isinstance(model.prices, list) else []
    for constraint in [one.constraint for one in [*conditions, *(model.price_variants or ())]]:
        if isinstance(constraint, StartDateConstraint):
            start = datetime.combine(constraint.start_date, datetime.min.time(), UTC)
            found |= {start, start - timedelta(microseconds=1)}
        elif isinstance(constraint, TimeOfDateConstraint):
            for moment in (constraint.start_time, constraint.end_time):
                start = datetime.combine(NOW, moment.replace(tzinfo=moment.tzinfo or UTC))
                found |= {start, start - timedelta(microseconds=1)}
    return sorted(found)


def listed(model: ModelInfo, time: datetime, context: dict[str, str] | None) -> bool:
    """Whether genai-prices has prices of this model in this context at this time."""
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(time))
        for variant in model.price_variants or ()
    )


def test_equal_to_genai_prices_for_every_model_usage_tier_and_time() -> None:
    prices, snapshot, seen, reached = Prices(), get_snapshot(), Counter(), 0
    for provider in snapshot.providers:
        for model in provider.models:
            name = named(model, provider)
            reached += provider.find_model(name) is model
            tiers = CONTEXTS if model.price_variants else [None]
            for tier in tiers:
                for time in times(model):
                    for usage in USAGES:
                        theirs = Usage(
                            **{"cache_audio_read_tokens": 0, "cache_image_read_tokens": 0}
                            | {OURS_TO_THEIRS[name]: value for name, value in usage.items()},
                        )
                        result = snapshot.calc(theirs, name, provider.id, None, time, CONTEXTS[tier])
                        ours, reason, gross = prices.assess(
                            call(model=name, provider=provider.id, ts=time, service_tier=tier, **usage)
                        )
                        seen[reason] += 1
                        if tier not in {None, "default"} and not listed(model, time, CONTEXTS[tier]):
                            assert (ours, reason) == (None, Reason.UNKNOWN_TIER), (model.id, tier, time)
                        elif reason == Reason.UNPRICED:
                            # Priced by the hour, page or character only, of which a call says nothing.
                            assert result.total_price == 0, (provider.id, model.id)
                            assert result.model_price.input_mtok is None, (provider.id, model.id)
                        else:
                            assert ours == rounded(result.total_price), (
                                provider.id,
                                model.id,
                                tier,
                                time,
                                usage,
                            )
                            without = {name: n for name, n in usage.items() if "cache" not in name}
                            full = call(
                                model=name, provider=provider.id, ts=time, service_tier=tier, **without
                            )
                            # Of halves one is rounded to even, and the other up.
                            assert gross - (prices.price(full) or 0) in {0, 1}, (
                                provider.id,
                                model.id,
                                tier,
                                usage,
                            )
    assert reached == sum(len(provider.models) for provider in snapshot.providers)
    assert seen[Reason.PRICED] > 9_000
    assert seen.keys() == {Reason.PRICED, Reason.UNPRICED, Reason.UNKNOWN_TIER}
    assert seen[Reason.UNPRICED] < seen[Reason.PRICED] / 10


def test_a_cache_write_is_not_billed_twice() -> None:
    cost = Prices().price(
        call(
            model="claude-3-7-sonnet-20250219",
            provider="anthropic",
            input_tokens=3 + 12_304,
            cache_write_tokens=12_304,
            output_tokens=550,
        )
    )
    assert cost == 54_399_000


def own(tmp_path: Path, text: str, name: str = "prices.toml") -> Prices:
    path = tmp_path / name
    path.write_text(text)
    return Prices(path)


GEMINI = {"model": "gemini-x", "input_tokens": 262_960, "cached_tokens": 257_955, "output_tokens": 1_744}


def test_a_cache_read_at_flat_price_and_above_a_tier(tmp_path: Path) -> None:
    flat = "[models.gemini-x]\ninput_mtok = 1.25\ncache_read_mtok = 0.625\noutput_mtok = 10\n"
    assert own(tmp_path, flat).price(call(**GEMINI)) == 184_918_125
    tiered = flat.replace("= 1.25", "= { base = 1.25, tiers = [{ start = 200000, price = 2.5 }] }")
    # Only the price of plain input rises here: 5,005 tokens at 2.50 instead of 1.25, all of them.
    assert own(tmp_path, tiered).price(call(**GEMINI)) == 184_918_125 + 5_005 * 1_250
    at_the_start = call(model="gemini-x", input_tokens=200_000, output_tokens=0)
    assert own(tmp_path, tiered).price(at_the_start) == 250_000_000


def test_otel_input_is_inclusive(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        "[models.m]\ninput_mtok = 3\ncache_read_mtok = 0.3\ncache_write_mtok = 3.75\noutput_mtok = 15",
    )
    usage = {
        "input_tokens": 130_213,
        "cached_tokens": 128_955,
        "cache_write_tokens": 1_253,
        "output_tokens": 0,
    }
    assert prices.price(call(model="m", **usage)) == 5 * 3_000 + 128_955 * 300 + 1_253 * 3_750


def test_images_that_a_model_draws_have_their_own_price() -> None:
    drawn = {
        "model": "gemini-2.5-flash-image",
        "provider": "google",
        "input_tokens": 10,
        "output_tokens": 1_300,
    }
    # $0.30 and $2.50 for text, $30 for images: a picture of 1,290 tokens costs 3.87 cents.
    assert Prices().price(call(**drawn, image_output_tokens=1_290)) == 10 * 300 + 10 * 2_500 + 1_290 * 30_000
    assert Prices().price(call(**drawn)) == 10 * 300 + 1_300 * 2_500


def test_cached_audio_has_its_own_price(tmp_path: Path) -> None:
    text = """
        [models.speech]
        input_mtok = 4
        cache_read_mtok = 0.5
        input_audio_mtok = 32
        cache_audio_read_mtok = 0.4
        output_mtok = 16
    """
    # Of 1,000 tokens, 600 are audio and 500 come from the cache, 300 of which are audio.
    usage = {"input_tokens": 1_000, "cached_tokens": 500, "audio_input_tokens": 600, "output_tokens": 0}
    cost = own(tmp_path, text).price(call(model="speech", **usage, cached_audio_tokens=300))
    assert cost == 200 * 4_000 + 200 * 500 + 300 * 32_000 + 300 * 400
    # A call may have more cached and audio tokens than input together, as some are both.
    most = {"input_tokens": 1_000, "cached_tokens": 900, "audio_input_tokens": 800, "output_tokens": 0}
    assert own(tmp_path, text).price(call(model="speech", **most, cached_audio_tokens=700))


def test_half_a_nano_dollar_is_rounded_to_even(tmp_path: Path) -> None:
    prices = own(tmp_path, "[models.m]\ninput_mtok = 0.0005\noutput_mtok = 0")
    costs = [prices.price(call(model="m", input_tokens=n, output_tokens=0)) for n in (1, 2, 3, 5)]
    assert costs == [0, 1, 2, 2]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10, "cached_tokens": 11},
        {"input_tokens": 10, "cached_tokens": 6, "cache_write_tokens": 5},
        {"input_tokens": 10, "cache_write_tokens": 2, "cache_write_1h_tokens": 3},
        {"input_tokens": 10, "cache_write_1h_tokens": 11},
        {"output_tokens": 10, "reasoning_tokens": 11},
        {"output_tokens": 10, "cached_tokens": 1},
        {"input_tokens": 10, "audio_input_tokens": 11},
        {"input_tokens": 10, "image_input_tokens": 11},
        {"input_tokens": 10, "output_tokens": 5, "image_output_tokens": 6},
        {"input_tokens": 10, "cached_tokens": 3, "audio_input_tokens": 9, "cached_audio_tokens": 4},
        {"input_tokens": 10, "cached_tokens": 9, "audio_input_tokens": 3, "cached_audio_tokens": 4},
    ],
)
def test_a_part_that_exceeds_its_whole_is_inconsistent(usage: dict[str, int]) -> None:
    assert Prices().assess(call(model="claude-sonnet-4-5", **usage)) == (None, Reason.INCONSISTENT, 0)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "no-such-model", "input_tokens": 5}, (None, Reason.UNPRICED)),
        ({"provider": "no-such-cloud", "input_tokens": 5}, (None, Reason.UNPRICED)),
        ({}, (None, Reason.UNKNOWN_USAGE)),
        ({"model": "no-such-model"}, (None, Reason.UNKNOWN_USAGE)),
        ({"cached_tokens": 4}, (None, Reason.UNKNOWN_USAGE)),
        ({"input_tokens": 0, "output_tokens": 0}, (0, Reason.PRICED)),
        ({"cost_usd": 0.0, "input_tokens": 5}, (0, Reason.GIVEN)),
        ({"cost_usd": 0.00015419999999999998}, (154_200, Reason.GIVEN)),
        ({"cost_usd": 3.5, "operation": "retrieval"}, (3_500_000_000, Reason.GIVEN)),
        ({"cache_hit": True, "input_tokens": 5}, (0, Reason.CACHE_HIT)),
        ({"cache_hit": True, "cost_usd": 1.0}, (0, Reason.CACHE_HIT)),
        *(
            ({"operation": operation, "input_tokens": 5}, (None, Reason.NO_MODEL))
            for operation in ("retrieval", "tool", "guardrail", "evaluation", "agent")
        ),
        (
            {"model": "text-embedding-3-small", "operation": "embedding", "input_tokens": 7},
            (140, Reason.PRICED),
        ),
    ],
)
def test_why_a_call_costs_what_it_costs(
    fields: dict[str, object], expected: tuple[int | None, Reason]
) -> None:
    prices = Prices()
    assert prices.assess(call(**fields))[:2] == expected
    assert prices.price(call(**fields)) == expected[0]


USED: Final = {"input_tokens": 1_000, "output_tokens": 100}


@pytest.mark.parametrize(
    ("provider", "model", "tier", "cost"),
    [
        *(("openai", "gpt-5", tier, 1_000 * 1_250 + 100 * 10_000) for tier in (None, "default", "standard")),
        ("openai", "gpt-5", "flex", 1_000 * 625 + 100 * 5_000),
        ("openai", "gpt-5", "batch", 1_000 * 625 + 100 * 5_000),
        ("openai", "gpt-5", "priority", 1_000 * 2_500 + 100 * 20_000),
        ("openai", "gpt-5", "fast", 1_000 * 2_500 + 100 * 20_000),
        ("openai", "gpt-5", "other", None),
        ("openai", "gpt-4o", "flex", None),
        ("anthropic", "claude-sonnet-4-5", "standard", 1_000 * 3_000 + 100 * 15_000),
        ("anthropic", "claude-sonnet-4-5", "batch", 1_000 * 1_500 + 100 * 7_500),
        ("anthropic", "claude-sonnet-4-5", "priority", None),
        ("aws", "anthropic.claude-sonnet-4-5-20250929-v1:0", "batch", None),
        # Azure has the prices of OpenAI's models lent to it, but not those of its tiers.
        ("azure", "gpt-5", "priority", None),
    ],
)
def test_the_tier_of_the_answer_chooses_the_price_and_one_without_a_list_price_is_not_guessed(
    provider: str, model: str, tier: str | None, cost: int | None
) -> None:
    answer = Prices().assess(call(provider=provider, model=model, service_tier=tier, **USED))
    assert answer[:2] == (cost, Reason.PRICED if cost else Reason.UNKNOWN_TIER)
    plain = Prices().price(call(provider=provider, model=model, **USED))
    assert plain


def test_a_tier_has_no_price_before_it_was_listed() -> None:
    early = call(model="gpt-5", service_tier="flex", ts=datetime(2026, 10, 11, 23, tzinfo=UTC), **USED)
    assert Prices().assess(early)[:2] == (None, Reason.UNKNOWN_TIER)
    assert Prices().price(call(model="gpt-5", ts=early.ts, **USED)) == 2_250_000


@pytest.mark.parametrize("operation", ["chat", "completion"])
@pytest.mark.parametrize("half", ["input_tokens", "output_tokens"])
def test_half_a_usage_has_no_price(operation: str, half: str) -> None:
    one = call(**{"operation": operation, half: 1_000})
    assert Prices().assess(one) == (None, Reason.PARTIAL_USAGE, 0)
    assert Prices().price(call(operation="embedding", model="text-embedding-3-small", input_tokens=7)) == 140


def test_what_a_call_had_cost_without_any_cache() -> None:
    prices = Prices()
    cached = {
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "input_tokens": 10_000,
        "output_tokens": 100,
    }
    cost, gross = 1_000 * 3_000 + 8_000 * 300 + 1_000 * 3_750 + 100 * 15_000, 10_000 * 3_000 + 100 * 15_000
    cached |= {"cached_tokens": 8_000, "cache_write_tokens": 1_000}
    assert prices.assess(call(**cached)) == (cost, Reason.PRICED, gross)
    assert prices.assess(call(**cached, cache_hit=True)) == (0, Reason.CACHE_HIT, gross)
    # Half of the list price was paid, so half of the gross would have been.
    assert prices.assess(call(**cached, cost_usd=cost / 2e9)) == (cost // 2, Reason.GIVEN, gross // 2)
    assert prices.assess(call(**cached, cost_usd=0.0)) == (0, Reason.GIVEN, 0)
    assert prices.assess(call(model="ours", cached_tokens=5, input_tokens=9, cost_usd=1e-9))[2] == 1
    assert prices.assess(call(input_tokens=9, cost_usd=0.5))[2] == 500_000_000
    assert prices.assess(call(model="ours", cost_usd=0.5, cache_hit=True))[2] == 500_000_000


def test_without_a_cache_a_given_cost_is_still_one_that_a_pane_can_add_up() -> None:
    nearly_free = {
        "model": "claude-sonnet-4-5",
        "input_tokens": 10**8,
        "cached_tokens": 10**8,
        "output_tokens": 0,
    }
    assert Prices().assess(call(**nearly_free, cost_usd=9_999.0))[2] == 10**13


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        (None, "gpt-4o-mini", ("openai", "gpt-4o-mini")),
        (None, "openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openai", "openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("OpenAI", "GPT-4o-mini", ("openai", "gpt-4o-mini")),
        ("azure.ai.openai", "gpt-4o-mini", ("azure", "gpt-4o-mini")),
        ("azure.ai.inference", "gpt-4o-mini", ("azure", "gpt-4o-mini")),
        ("gcp.gen_ai", "gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("x_ai", "grok-3", ("x-ai", "grok-3")),
        ("fireworks_ai", FIREWORKS, ("fireworks", FIREWORKS)),
        ("vertex_ai-anthropic_models", "claude-sonnet-4-5", ("google", "claude-sonnet-4-5")),
        ("litellm", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("litellm", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", ("aws", BEDROCK)),
        ("openrouter", "openrouter/openai/gpt-4o", ("openrouter", "openai/gpt-4o")),
        ("gcp.gen_ai", "models/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        (None, "models/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("aws.bedrock", "nova-lite-v1:0", ("aws", "amazon.nova-lite-v1:0")),
        ("aws.bedrock", "llama3-8b-instruct-v1:0", ("aws", "meta.llama3-8b-instruct-v1:0")),
    ],
)
def test_names_that_providers_and_models_go_by(
    provider: str | None, model: str, same_as: tuple[str, str]
) -> None:
    usage = {"input_tokens": 1_000, "output_tokens": 100}
    theirs = get_snapshot().calc(Usage(**usage), same_as[1], same_as[0], None, NOW)
    assert Prices().price(call(provider=provider, model=model, **usage)) == rounded(theirs.total_price)


@pytest.mark.parametrize("provider", [None, "openai", "litellm"])
@pytest.mark.parametrize("model", ["acme/gpt-4o-mini", "ft/gpt-4o-mini", "/gpt-4o-mini", "openai/"])
def test_a_prefix_that_names_no_provider_is_part_of_the_name(provider: str | None, model: str) -> None:
    answer = Prices().assess(call(provider=provider, model=model, **USED))
    assert answer == (None, Reason.UNPRICED, 0)


def test_a_prefix_may_name_a_provider_of_the_price_file(tmp_path: Path) -> None:
    text = '[models.m]\nprovider = "my-cloud"\ninput_mtok = 1\noutput_mtok = 1\n[models.any]\ninput_mtok = 1'
    prices = own(tmp_path, text)
    assert prices.price(call(model="my-cloud/m", **USED)) == 1_100_000
    assert prices.price(call(model="another/m", **USED)) is None
    assert prices.price(call(model="/any", **USED)) is None


def test_the_time_of_the_call_chooses_the_price() -> None:
    changes = Prices()
    usage = {
        "model": "deepseek-chat",
        "provider": "deepseek",
        "input_tokens": 1_000_000,
        "output_tokens": 0,
    }
    costs = {
        changes.price(call(ts=ts, **usage))
        for ts in (
            datetime(2025, 3, 1, 12, tzinfo=UTC),
            datetime(2025, 3, 1, 20, tzinfo=UTC),
            NOW,
            1_795_503_370_255,
        )
    }
    assert len(costs) >= 2


def test_a_new_snapshot_is_taken_up() -> None:
    prices, one = Prices(), call(model="m", provider="p", input_tokens=1_000_000, output_tokens=0)

    def provider(dollars: int) -> DataSnapshot:
        listed = [ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(dollars)))]
        model = ModelInfo(id="m", match=data_snapshot.types.ClauseEquals("m"), prices=listed)
        return DataSnapshot(
            [Provider(id="p", name="P", api_pattern="", models=[model])], from_auto_update=True
        )

    try:
        assert prices.assess(one) == (None, Reason.UNPRICED, 0)
        set_custom_snapshot(provider(2))
        assert prices.price(one) == 2 * 10**9
        set_custom_snapshot(provider(3))
        assert prices.price(one) == 3 * 10**9
    finally:
        set_custom_snapshot(None)


def test_misses_are_remembered_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices()
    monkeypatch.setattr("llmvitals.price._REMEMBERED", 5)
    before = [
        len(vars(get_snapshot())[name]) for name in ("_lookup_cache", "_provider_cache", "_provider_misses")
    ]
    for n in range(12):
        assert prices.price(call(model=f"nobody-{n}", input_tokens=1)) is None
        assert len(prices._schedules) <= 5
    after = [
        len(vars(get_snapshot())[name]) for name in ("_lookup_cache", "_provider_cache", "_provider_misses")
    ]
    assert before == after


@given(st.integers(0, 10**15))
def test_a_given_cost_is_read_as_written(tenths: int) -> None:
    written = Decimal(tenths).scaleb(-10)
    if Decimal(repr(float(written))) == written:
        assert nano(float(written)) == rounded(written)
        assert nanos([float(written), 0.5]).tolist() == [rounded(written), 500_000_000]


# One's own prices


def test_own_prices_win_and_discounts_apply_to_the_listed(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """
        [models."gpt-4o"]
        input_mtok = 1
        output_mtok = 2
        batch = { input_mtok = 0.5, output_mtok = 1 }
        fast = { input_mtok = 3 }
        [models."my-llama"]
        provider = "my-cloud"
        input_mtok = 0.2
        [discounts]
        openai = 0.25
        """,
    )
    million = {"input_tokens": 1_000_000, "output_tokens": 0}
    assert prices.price(call(model="GPT-4o", provider="openai", **million)) == 10**9
    assert prices.price(call(model="gpt-4o", provider="azure", **million)) == 10**9
    assert prices.price(call(model="gpt-4o", provider="openai", service_tier="batch", **million)) == 5 * 10**8
    assert prices.price(call(model="gpt-4o", provider="openai", service_tier="fast", **million)) == 3 * 10**9
    flex = call(model="gpt-4o", provider="openai", service_tier="flex", **million)
    assert prices.assess(flex) == (None, Reason.UNKNOWN_TIER, 0)
    assert prices.price(call(model="my-llama", provider="My-Cloud", **million)) == 2 * 10**8
    assert prices.price(call(model="my-llama", **million)) == 2 * 10**8
    assert prices.price(call(model="my-llama", provider="another", **million)) is None
    assert prices.price(call(model="gpt-4o-mini", provider="openai", **million)) == 112_500_000
    assert prices.warnings() == []


def test_litellms_format_is_read(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        """{
        "sample_spec": {"input_cost_per_token": 0, "output_cost_per_token": 0, "litellm_provider": "one of …"},
        "azure/big": {"litellm_provider": "azure", "mode": "chat", "max_tokens": 4096,
            "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07,
            "cache_read_input_token_cost": 7.5e-08, "input_cost_per_token_batches": 7.5e-08,
            "input_cost_per_token_above_200k_tokens": 3e-07, "search_context_cost_per_query": {"x": 1},
            "output_cost_per_token_priority": null, "supports_vision": true},
        "dall-e": {"litellm_provider": "openai", "output_cost_per_image": 0.04}
        }""",
        "prices.json",
    )
    usage = {
        "model": "big",
        "provider": "azure",
        "input_tokens": 1_000,
        "cached_tokens": 400,
        "output_tokens": 10,
    }
    assert prices.price(call(**usage)) == 600 * 150 + 400 * 75 + 10 * 600
    assert prices.price(call(**usage | {"model": "azure/big"})) == 126_000
    assert prices.price(call(**usage | {"service_tier": "batch"})) == 600 * 75 + 400 * 75 + 10 * 600
    assert prices.assess(call(**usage | {"service_tier": "priority"})) == (None, Reason.UNKNOWN_TIER, 0)
    long = call(model="big", provider="azure", input_tokens=200_001, output_tokens=0)
    assert prices.price(long) == 200_001 * 300


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[models.m\n", "neither TOML"),
        ("[models.m]\ninput_mtok = -1", "m.input_mtok: a price is a number"),
        ("[models.m]\ninput_mtok = nan", "m.input_mtok: a price is a number"),
        ('[models.m]\ninput_mtok = "1"', "m.input_mtok: a price is a number"),
        ("[models.m]\ninput_mtok = true", "m.input_mtok: a price is a number"),
        ("[models.m]\ninput_mtoken = 1", "m.input_mtoken: there is no such price; write one of input_mtok"),
        (
            "[models.m]\ncache_read_mtok = 1\noutput_mtok = 1",
            "input_mtok is missing: cache_read_mtok is the price of a part",
        ),
        ("[models.m]\nbatch = 3\ninput_mtok = 1", "m.batch: a table"),
        ("[models.m]\ninput_mtok = { base = 1 }", "m.input_mtok: write { base"),
        ("[models.m]\ninput_mtok = { base = 1, tiers = [{ start = 1.5, price = 1 }] }", "a tier is"),
        ("[models]\nm = 1", "m: a table"),
        ("[discounts]\nopenai = 1", "discounts.openai: write the share"),
        ("[discounts]\nopenai = -0.1", "discounts.openai"),
        ("[something]\nx = 1", "something: write"),
        ("[models.m]\nprovider = 'x'", "m: has no price"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"prices\.toml") as error:
        own(tmp_path, text)
    assert says in str(error.value)


def test_the_same_tables_in_yaml(tmp_path: Path) -> None:
    text = """
models:
  my-llama: {provider: my-cloud, input_mtok: 0.3, output_mtok: {base: 1, tiers: [{start: 10, price: 2}]}}
discounts: {openai: 0.25}
"""
    prices = own(tmp_path, text, "prices.yaml")
    # 0.3 is the written number, not the nearest float.
    assert prices.price(call(model="my-llama", input_tokens=10_000_001, output_tokens=0)) == 3_000_000_300
    for wrong in (
        "models: [",
        "models: {m: {input_mtok: .nan}}",
        "models: {m: {input_mtok: 1e-7}}",
        "- 1",
        "",
    ):
        with pytest.raises(ConfigError, match=r"prices\.yaml"):
            own(tmp_path, wrong, "prices.yaml")


@pytest.mark.parametrize("text", ["", "[]", '{"m": {"input_cost_per_token": NaN}}', "{" * 10_000, '{"m": 1}'])
def test_a_wrong_json_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"prices\.json"):
        own(tmp_path, text, "prices.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Prices(tmp_path / "nowhere.toml")


def test_a_price_a_hundred_times_off_is_named(tmp_path: Path) -> None:
    prices = own(
        tmp_path,
        "[models.gpt-4o]\ninput_mtok = 0.0000025\n[models.new-one]\ninput_mtok = 900\n[models.fine]\ninput_mtok = 2",
    )
    lines = prices.warnings()
    assert [line.split(":")[0] for line in lines] == ["gpt-4o", "new-one"]
    assert "for one token instead of a million" in lines[0]


def test_the_ratio_of_a_models_prices(tmp_path: Path) -> None:
    text = """
        [models.mine]
        input_mtok = { base = 2, tiers = [{ start = 200000, price = 4 }] }
        output_mtok = 7
        [models.per-call]
        requests_kcount = 5
        [models.embed]
        input_mtok = 1
    """
    prices = own(tmp_path, text)
    assert prices.ratio("gpt-5") == prices.ratio("openai/GPT-5-mini") == 8
    assert prices.ratio("mine") == 3.5
    assert prices.ratio("per-call") == 0
    assert prices.ratio("embed") is prices.ratio("nobody-s") is prices.ratio("") is None


def test_the_price_file_of_the_documentation_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")
    prices = own(tmp_path, page.split("```toml\n")[1].split("```")[0])
    assert prices.price(call(model="my-llama", provider="my-cloud", **USED)) == 1_000 * 200 + 100 * 600
    assert prices.price(call(model="my-long-one", input_tokens=200_001, output_tokens=0)) == 200_001 * 2_500
