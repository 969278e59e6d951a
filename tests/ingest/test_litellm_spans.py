"""LiteLLM's own spans: the layout of `LITELLM_OTEL_V2`, and the newest names in the one before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmvitals.ingest import Decoded, decode
from llmvitals.record.call import Call
from spans import Attributes, export, span

ASKED: Attributes = {
    "litellm.api_key.hash": "88dc",
    "litellm.metadata.user_api_key_end_user_id": "u-1",
    "litellm.team.alias": "search",
    "gen_ai.request.model": "chat-small",
}
"""What the proxy puts on every span of a request."""
CALL: Attributes = ASKED | {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "chat-small",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 208,
    "gen_ai.usage.output_tokens": 28,
    "gen_ai.usage.cache_read.input_tokens": 64,
    "litellm.call_id": "a325",
    "litellm.call_type": "acompletion",
    "litellm.provider.model": "openai/gpt-4o-mini",
    "litellm.cost.total": 4.32e-05,
}


def read(*groups: Attributes, scope: str = "litellm") -> Decoded:
    return decode(export((scope, [span(number, one) for number, one in enumerate(groups, 1)])))


def only(attributes: Attributes) -> Call:
    (call,) = read(attributes).calls
    return call


def test_the_model_is_the_one_that_answered_and_not_the_alias() -> None:
    call = only(CALL)
    assert (call.provider, call.model, call.requested_model) == ("openai", "gpt-4o-mini", "chat-small")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (208, 28, 64)
    assert (call.cost_usd, call.response_id) == (4.32e-05, "chatcmpl-1")
    assert (call.user, call.team, call.key) == ("u-1", "search", "88dc")


@pytest.mark.parametrize(
    ("provider", "routed", "read_as"),
    [
        ("gcp.gemini", "gemini/gemini-2.5-flash", ("gemini", "gemini-2.5-flash")),
        ("gcp.vertex_ai", "vertex_ai/gemini-2.5-flash", ("vertex_ai", "gemini-2.5-flash")),
        ("x_ai", "xai/grok-4", ("xai", "grok-4")),
        ("groq", "groq/meta-llama/llama-3", ("groq", "meta-llama/llama-3")),
        ("groq", "meta-llama/llama-3", ("groq", "meta-llama/llama-3")),
    ],
)
def test_the_provider_is_named_as_by_litellms_callbacks(
    provider: str, routed: str, read_as: tuple[str, str]
) -> None:
    call = only(CALL | {"gen_ai.provider.name": provider, "litellm.provider.model": routed})
    assert (call.provider, call.model) == read_as


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("aspeech", "audio"),
        ("atranscription", "audio"),
        ("aimage_generation", "image"),
        ("arerank", "rerank"),
        ("amoderation", "moderation"),
        ("aembedding", "embedding"),
        ("aresponses", "chat"),
    ],
)
def test_the_operation_is_that_of_the_request(kind: str, operation: str) -> None:
    call = only(CALL | {"gen_ai.operation.name": "generate_content", "litellm.call_type": kind})
    assert call.operation == operation


def test_what_is_no_call_of_a_model_is_none() -> None:
    assert read(CALL | {"litellm.call_type": "alist_batches", "gen_ai.usage.input_tokens": 0}).calls == []


def test_a_call_without_an_id_of_its_answer_has_the_one_of_the_call() -> None:
    unnamed = {name: value for name, value in CALL.items() if name != "gen_ai.response.id"}
    assert only(unnamed).response_id == "a325"


@pytest.mark.parametrize(("flagged", "verdict"), [(False, "pass"), (True, "block")])
def test_the_verdict_of_a_guardrail(flagged: bool, verdict: str) -> None:
    rail = {
        "litellm.guardrail.name": "lakera",
        "litellm.guardrail.mode": "pre_call",
        "litellm.guardrail.status": "success",
        "litellm.guardrail.response": json.dumps({"flagged": flagged}),
    }
    call = only(ASKED | rail)
    assert [(one.name, one.verdict) for one in call.guardrails or ()] == [("lakera", verdict)]
    assert read(ASKED | rail | {"litellm.guardrail.status": "not_run"}).calls == []


@pytest.mark.parametrize("scope", ["litellm", "fastapi"])
def test_spans_beside_a_call_are_neither_calls_nor_unread(scope: str) -> None:
    decoded = read(ASKED, scope=scope)
    assert (decoded.calls, dict(decoded.unread)) == ([], {})
    assert read(ASKED | {"gen_ai.prompt": "x"}, scope="new").unread == {"new": 1}


def test_turns_of_a_conversation_are_not_unread() -> None:
    turn = {"gen_ai.conversation.id": "c", "gen_ai.agent.name": "helper"}
    assert read(turn, scope="weave.openai_agents").unread == {}


EARLIER: Attributes = {
    "gen_ai.request.model": "gpt-image-1",
    "gen_ai.system": "openai",
    "litellm.model_group": "img",
    "litellm.provider.model": "openai/gpt-image-1",
}


def test_litellm_calls_everything_a_chat_by_the_newest_names() -> None:
    newest = {"llm.request.type": "aimage_generation", "gen_ai.operation.name": "chat"}
    call = only(EARLIER | newest | {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 1_000})
    assert call.operation == "image"


def test_an_image_of_litellm_has_the_id_of_its_call() -> None:
    call = only(EARLIER | {"llm.request.type": "aimage_generation", "gen_ai.response.id": "call-1"})
    assert call.response_id == "call-1"


def test_speech_has_a_cost_and_no_tokens() -> None:
    call = only(EARLIER | {"llm.request.type": "aspeech", "gen_ai.cost.total_cost": 7.5e-05})
    assert (call.operation, call.cost_usd, call.input_tokens) == ("audio", 7.5e-05, None)
    assert read(EARLIER | {"llm.request.type": "aspeech", "gen_ai.cost.total_cost": 0.0}).calls == []


@pytest.mark.parametrize("vendor", [{"langfuse.observation.type": "generation"}, {}])
def test_langfuses_and_phoenixs_spans_of_litellm(vendor: Attributes) -> None:
    told = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.provider": "openai",
        "llm.response.id": "chatcmpl-1",
        "llm.token_count.prompt": 279,
        "llm.token_count.completion": 99,
        "llm.token_count.prompt_details.cache_read": 64,
        "llm.cost.total": 9.6e-05,
        "session.id": "s-1",
    }
    call = only(told | vendor)
    assert (call.model, call.provider, call.session) == ("gpt-4o-mini", "openai", "s-1")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (279, 99, 64)
    assert (call.response_id, call.cost_usd) == ("chatcmpl-1", 9.6e-05)


def test_log_records_with_the_details_of_a_call_are_not_unread() -> None:
    told = {
        "event_name": "gen_ai.client.inference.operation.details",
        "gen_ai.operation.name": "chat",
    }
    attributes = [{"key": name, "value": {"stringValue": value}} for name, value in told.items()]
    record = {"timeUnixNano": "1795503015000000000", "attributes": attributes}
    logs = [{"scope": {"name": "litellm"}, "logRecords": [record]}]
    decoded = decode(json.dumps({"resourceLogs": [{"scopeLogs": logs}]}).encode())
    assert (decoded.calls, dict(decoded.unread)) == ([], {})


EARLY_WRITES = {
    "prompt_tokens": 67, "completion_tokens": 5, "total_tokens": 72, "cache_creation_input_tokens": 16,
    "cache_read_input_tokens": 64, "prompt_tokens_details": {"cached_tokens": 64},
}  # fmt: skip
"""As in the middle of 2025: 3 tokens, 64 read from the cache and 16 written to it."""
WRITES = EARLY_WRITES | {
    "prompt_tokens": 83,
    "total_tokens": 88,
    "prompt_tokens_details": {"cached_tokens": 64, "cache_creation_tokens": 16},
}
BEDROCK_WRITES = WRITES | {"prompt_tokens_details": {"cached_tokens": 64}}


@pytest.mark.parametrize(
    ("provider", "usage"),
    [
        ("anthropic", EARLY_WRITES),
        ("anthropic", WRITES),
        ("bedrock", EARLY_WRITES | {"total_tokens": 88}),
        ("bedrock", BEDROCK_WRITES),
    ],
)
def test_cache_writes_are_input_in_every_version(provider: str, usage: dict[str, Any]) -> None:
    told = {
        "gen_ai.request.model": "claude-3-7-sonnet-20250219",
        "gen_ai.system": provider,
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.prompt_tokens": usage["prompt_tokens"],
        "gen_ai.usage.completion_tokens": usage["completion_tokens"],
        "gen_ai.usage.total_tokens": usage["total_tokens"],
        "metadata.usage_object": str(usage),
    }
    payload = {
        "litellm_call_id": "c", "call_type": "acompletion", "endTime": 1_795_503_016.0, "status": "success",
        "custom_llm_provider": provider, "metadata": {"usage_object": usage},
    } | {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}  # fmt: skip
    (callback,) = decode(json.dumps(payload).encode()).calls
    for call in (only(told), callback):
        assert (call.input_tokens, call.cached_tokens, call.cache_write_tokens) == (83, 64, 16)
        assert call.output_tokens == 5


def test_a_total_alone_does_not_tell_the_output() -> None:
    images = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 862}
    call = only(EARLIER | {"llm.request.type": "aimage_generation", "gen_ai.response.id": "i",
                           "metadata.usage_object": str(images), "gen_ai.usage.total_tokens": 862,
                           "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0})  # fmt: skip
    assert (call.input_tokens, call.output_tokens) == (None, None)
