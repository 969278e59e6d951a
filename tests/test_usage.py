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
