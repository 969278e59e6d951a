"""Usage objects: the tokens of audio and of images, which have prices of their own."""

from __future__ import annotations

from typing import Any

import pytest

from llmvitals.usage import usage_of

MEDIA = (
    "audio_input_tokens", "audio_output_tokens", "cached_audio_tokens", "image_input_tokens",
    "image_output_tokens",
)  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (  # OpenAI's realtime models
            {
                "input_tokens": 132, "output_tokens": 121,
                "input_token_details": {
                    "text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64,
                    "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
                },
                "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
            },
            (13, 91, 4, None, None),
        ),
        (  # OpenAI's gpt-image models
            {
                "input_tokens": 340, "output_tokens": 1_056, "total_tokens": 1_396,
                "input_tokens_details": {"text_tokens": 17, "image_tokens": 323},
                "output_tokens_details": {"image_tokens": 1_056, "text_tokens": 0},
            },
            (None, None, None, 323, 1_056),
        ),
        (  # Google
            {
                "promptTokenCount": 300, "candidatesTokenCount": 1_300, "cachedContentTokenCount": 50,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 10}, {"modality": "AUDIO", "tokenCount": 32},
                    {"modality": "IMAGE", "tokenCount": 258},
                ],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1_290}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
            },
            (32, None, 20, 258, 1_290),
        ),
        (  # LiteLLM
            {
                "prompt_tokens": 9, "completion_tokens": 1_290,
                "prompt_tokens_details": {"text_tokens": 9, "image_tokens": None},
                "completion_tokens_details": {"image_tokens": 1_290},
            },
            (None, None, None, None, 1_290),
        ),
        ({"promptTokenCount": 3, "candidatesTokenCount": 3, "promptTokensDetails": "?"}, (None,) * 5),
        ({"promptTokenCount": 3, "promptTokensDetails": [None, {"modality": "AUDIO"}]}, (None,) * 5),
    ],
)  # fmt: skip
def test_audio_and_images(usage: dict[str, Any], tokens: tuple[int | None, ...]) -> None:
    found = usage_of(usage)
    assert tuple(found[name] for name in MEDIA) == tokens


def test_the_cache_written_tokens_of_langchain_are_its_parts() -> None:
    details = {
        "cache_read": 1_800,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 60,
        "ephemeral_1h_input_tokens": 40,
    }
    usage = usage_of(
        {"input_tokens": 1_921, "output_tokens": 12, "total_tokens": 1_933, "input_token_details": details}
    )
    assert (usage["input_tokens"], usage["cached_tokens"]) == (1_921, 1_800)
    assert (usage["cache_write_tokens"], usage["cache_write_1h_tokens"]) == (100, 40)


def test_the_thoughts_of_anthropic_are_part_of_the_output() -> None:
    usage = usage_of(
        {"input_tokens": 3, "output_tokens": 12, "output_tokens_details": {"thinking_tokens": 7}}
    )
    assert (usage["output_tokens"], usage["reasoning_tokens"]) == (12, 7)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 521},
            (9, 512, None, None),
            id="Gemini by OpenAI's protocol leaves its thoughts out of the output",
        ),
        pytest.param(
            {
                "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                "prompt_tokens_details": {"cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            (32, 103, 6, None),
            id="so does xAI",
        ),
        pytest.param(
            {
                "input_tokens": 1_000, "output_tokens": 50, "total_tokens": 1_250,
                "cache_read_input_tokens": 600,
            },
            (1_000, 250, 600, None),
            id="thoughts do not mean that the input is without the cache",
        ),
        pytest.param(
            {
                "promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 5,
                "toolUsePromptTokenCount": 300, "totalTokenCount": 415,
            },
            (400, 15, None, None),
            id="what Google's tools found is input",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 7, "prompt_cache_hit_tokens": 64},
            (100, 7, 64, None),
            id="DeepSeek's name of the cache",
        ),
        pytest.param(
            {
                "inputTokens": 100, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 40,
                "cacheWriteInputTokens": 30,
                "cacheDetails": [{"inputTokens": 20, "ttl": "1h"}, {"inputTokens": 10, "ttl": "5m"}],
            },
            (170, 5, 40, 20),
            id="Bedrock leaves the cache out of the input, and may leave it out of the total",
        ),
        pytest.param(
            {
                "input": 50, "input_cache_creation_5m": 100, "input_cache_creation_1h": 200,
                "input_cache_read": 1_000, "output": 20,
            },
            (1_350, 20, 1_000, 200),
            id="Langfuse's parts by the time that the cache keeps them",
        ),
        pytest.param(
            {"input": 50, "output": 20, "total": 90}, (50, 40, None, None), id="Langfuse's total"
        ),
    ],
)  # fmt: skip
def test_the_whole_input_and_output(usage: dict[str, Any], tokens: tuple[int | None, ...]) -> None:
    found = usage_of(usage)
    names = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_1h_tokens")
    assert tuple(found[name] for name in names) == tokens


def test_the_audio_of_langfuse_is_a_part_of_its_own() -> None:
    usage = usage_of({"input": 50, "input_audio_tokens": 100, "output": 20, "output_audio_tokens": 80})
    assert (usage["input_tokens"], usage["audio_input_tokens"]) == (150, 100)
    assert (usage["output_tokens"], usage["audio_output_tokens"]) == (100, 80)


@pytest.mark.parametrize("operation", ["embedding", "rerank"])
def test_the_total_of_a_call_without_an_output_is_its_input(operation: str) -> None:
    """Voyage and Jina tell nothing else, and LiteLLM writes zeros beside it."""
    for usage in ({"total_tokens": 9}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 9}):
        assert usage_of(usage, operation)["input_tokens"] == 9
        assert usage_of(usage, operation)["output_tokens"] is None
    assert usage_of({"prompt_tokens": 8, "total_tokens": 9}, operation)["input_tokens"] == 8
    assert not usage_of({"total_tokens": 9}, "chat")  # which may be input or output


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            {
                "billed_units": {"input_tokens": 7.0, "output_tokens": 12.0},
                "tokens": {"input_tokens": 73.0, "output_tokens": 14.0},
            },
            (7, 12),
        ),
        (
            {
                "api_version": {"version": "1"},
                "billed_units": {"search_units": 1},
                "tokens": {"input_tokens": 40},
            },
            (40, None),
        ),
        ({"billed_units": {"input_tokens": 7, "classifications": 3}}, (7, None)),
    ],
)
def test_of_cohere_what_it_bills_counts(usage: dict[str, Any], tokens: tuple[int | None, ...]) -> None:
    found = usage_of(usage)
    assert (found["input_tokens"], found["output_tokens"]) == tokens


def test_a_search_that_cohere_bills_tells_no_tokens() -> None:
    assert usage_of({"billed_units": {"search_units": 1}}) == {}
    assert usage_of({"billed_units": None}) == {}
