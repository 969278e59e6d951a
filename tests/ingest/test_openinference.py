"""OpenInference: what several versions of its instrumentors leave out or tell in another place."""

import json
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call
from spans import Attributes, event, export, span

LLM: Attributes = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-mini",
    "llm.token_count.prompt": 1_000,
    "llm.token_count.completion": 20,
}
FAILED = {"code": 2}


def read(attributes: Attributes, *, scope: str = "openinference.instrumentation.x", **more: Any) -> Call:
    (call,) = decode(export((scope, [span(1, attributes, **more)]))).calls
    return call


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "o3-mini"}'},
        {"openinference.span.kind": "LLM", "llm.request.model_name": "o3-mini"},
        {"openinference.span.kind": "EMBEDDING", "embedding.invocation_parameters": '{"model": "o3-mini"}'},
    ],
)
def test_a_failed_call_has_the_model_that_was_asked_for(attributes: Attributes) -> None:
    call = read(attributes, status=FAILED)
    assert (call.status, call.model) == ("error", "o3-mini")


def test_the_model_that_answered_goes_before_the_one_that_was_asked_for() -> None:
    call = read(LLM | {"llm.invocation_parameters": '{"model": "gpt-4o"}'})
    assert (call.model, call.requested_model) == ("gpt-4o-mini", "gpt-4o")


@pytest.mark.parametrize(
    ("model", "provider", "bare"),
    [
        ("anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("azure/my-deployment", "azure", "my-deployment"),
        ("gpt-4o-mini", None, "gpt-4o-mini"),
    ],
)
def test_early_litellm_spans_tell_the_provider_with_the_model(
    model: str, provider: str | None, bare: str
) -> None:
    attributes = LLM | {"llm.model_name": model}
    call = read(attributes, scope="openinference.instrumentation.litellm")
    assert (call.provider, call.model) == (provider, bare)
    assert read(attributes, scope="openinference.instrumentation.groq").model == model


def test_a_setting_of_a_wrapper_does_not_say_that_it_was_no_stream() -> None:
    asked = {"llm.invocation_parameters": '{"stream": false}'}
    assert read(LLM | asked).stream is None
    first = [event("First Token Stream Event", 200)]
    call = read(LLM | asked, events=first)
    assert (call.stream, call.ttft_ms) == (True, 200)
    assert read(LLM | {"llm.invocation_parameters": '{"stream": true}'}).stream is True


ANTHROPIC = {"input_tokens": 1_000, "output_tokens": 20, "cache_read_input_tokens": 512,
             "cache_creation_input_tokens": 300}  # fmt: skip
LANGCHAIN = {"input_tokens": 1_812, "output_tokens": 20, "input_token_details": {
    "cache_read": 512, "cache_creation": 0, "ephemeral_5m_input_tokens": 300,
}}  # fmt: skip


def generated(**message: Any) -> Attributes:
    return {"output.value": json.dumps({"generations": [[{"message": {"kwargs": message}}]]})}


@pytest.mark.parametrize(
    "attributes",
    [
        {"output.value": json.dumps({"id": "msg_1", "usage": ANTHROPIC})},
        {"llm.token_count.prompt": 1_812, "output.value": json.dumps({"usage": ANTHROPIC})},
        generated(usage_metadata=LANGCHAIN),
        generated(response_metadata={"usage": ANTHROPIC}),
    ],
)
def test_what_early_instrumentors_leave_out_is_read_of_the_answer(attributes: Attributes) -> None:
    call = read(LLM | attributes)
    assert (call.input_tokens, call.output_tokens) == (1_812, 20)
    assert (call.cached_tokens, call.cache_write_tokens) == (512, 300)


def test_a_call_without_counts_has_those_of_its_answer() -> None:
    uncounted = {"openinference.span.kind": "LLM", "llm.output_messages.0.message.role": "assistant"}
    call = read(uncounted | {"output.value": json.dumps({"usage": ANTHROPIC})})
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (1_812, 20, 512)
    assert read(uncounted | {"output.value": "{}"}).input_tokens is None


@pytest.mark.parametrize(
    "usage", [ANTHROPIC | {"output_tokens": 21}, {"input_tokens": 7, "output_tokens": 20}, {}, "7"]
)
def test_the_usage_of_another_answer_is_not_taken(usage: object) -> None:
    call = read(LLM | {"output.value": json.dumps({"usage": usage})})
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (1_000, 20, None)


def test_what_the_instrumentor_tells_goes_before_the_answer() -> None:
    details = {"llm.token_count.prompt": 1_812, "llm.token_count.prompt_details.cache_write": 300}
    unsplit = LANGCHAIN | {"input_token_details": {"cache_read": 512, "cache_creation": 0}}
    call = read(LLM | details | generated(usage_metadata=unsplit))
    assert (call.cached_tokens, call.cache_write_tokens) == (512, 300)


def test_genai_attributes_of_which_a_processor_made_those_of_openinference() -> None:
    original = {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 512,
        "gen_ai.usage.details.reasoning_tokens": 10,
        "operation.cost": 0.25,
    }
    call = read(LLM | original, scope="pydantic-ai")
    assert (call.model, call.response_id) == ("gpt-4o-mini-2024-07-18", "chatcmpl-1")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (1_000, 20, 0.25)
    assert (call.cached_tokens, call.reasoning_tokens) == (512, 10)
    agent = LLM | original | {"openinference.span.kind": "AGENT"}
    assert not decode(export(("pydantic-ai", [span(1, agent)]))).calls


def test_genai_attributes_that_openinference_made_of_its_own() -> None:
    made = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.response.finish_reasons": '["tool_call"]',
    }
    own = {"llm.provider": "aws", "llm.finish_reason": "tool_calls"}
    call = read(LLM | own | made)
    assert (call.provider, call.finish_reason, call.requested_model) == ("aws", "tool_calls", None)


JUDGED: Attributes = {
    "evaluations.0.evaluation.name": "helpful",
    "evaluations.0.evaluation.score": 0.75,
    "trace.annotations.0.annotation.name": "solved",
    "trace.annotations.0.annotation.label": "yes",
    "trace.annotations.0.annotation.annotator_kind": "HUMAN",
    "annotations.1.annotation.name": "has no first one",
}


def test_judgements_of_an_agents_run_are_evaluations() -> None:
    agent = {"openinference.span.kind": "AGENT"} | JUDGED
    decoded = decode(export(("a", [span(1, agent)])))
    assert [(call.operation, call.scores, call.labelled, call.annotator) for call in decoded.calls] == [
        ("evaluation", {"helpful": 0.75}, None, None),
        ("evaluation", None, "solved", "human"),
    ]
    assert len({call.id for call in decoded.calls}) == 2
    tool = {"openinference.span.kind": "TOOL", "tool.name": "add"} | JUDGED
    operations = [call.operation for call in decode(export(("a", [span(1, tool)]))).calls]
    assert operations == ["tool", "evaluation", "evaluation"]


def test_judgements_of_a_call_go_with_it() -> None:
    assert read(LLM | JUDGED).scores == {"helpful": 0.75}


def test_a_decision_of_a_model() -> None:
    decision: Attributes = {
        "openinference.span.kind": "DECISION",
        "decision.model_name": "jev-1",
        "decision.request.model_name": "jev-latest",
        "decision.provider": "TypeSafe",
        "decision.token_count.input": 100,
        "decision.token_count.output": 3,
    }
    call = read(decision)
    assert (call.operation, call.model, call.requested_model) == ("chat", "jev-1", "jev-latest")
    assert (call.provider, call.input_tokens, call.output_tokens) == ("typesafe", 100, 3)
    asked = {name: value for name, value in decision.items() if "token" not in name}
    assert not decode(export(("a", [span(1, asked)]))).calls
    assert read(asked, status=FAILED).status == "error"


@pytest.mark.parametrize(
    ("name", "provider"),
    [("gemini/gemini-2.5-flash", "google"), ("bedrock/amazon.nova-lite-v1:0", "aws")],
)
def test_litellms_prefix_is_no_part_of_a_model_whose_provider_openinference_calls_otherwise(
    name: str, provider: str
) -> None:
    attributes = LLM | {"llm.model_name": name, "llm.provider": provider}
    call = read(attributes, scope="openinference.instrumentation.litellm")
    assert (call.provider, call.model) == (provider, name.partition("/")[2])


def test_novas_cache_is_only_in_the_total() -> None:
    cached = LLM | {"llm.token_count.prompt_details.cache_read": 64, "llm.token_count.total": 1_084}
    call = read(cached, scope="openinference.instrumentation.bedrock")
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (1_064, 20, 64)


def test_what_only_the_total_of_early_bedrock_spans_has_was_read_from_the_cache() -> None:
    told = LLM | {"llm.token_count.total": 1_116}
    call = read(told, scope="openinference.instrumentation.bedrock")
    assert (call.input_tokens, call.output_tokens) == (1_096, 20)
    call = read(told, scope="openinference.instrumentation.google_genai")
    assert (call.input_tokens, call.output_tokens) == (1_000, 116)


def test_an_embedding_of_bedrocks_older_interface_is_no_answer_of_a_model() -> None:
    call = read(LLM | {"llm.model_name": "amazon.titan-embed-text-v2:0"})
    assert (call.operation, call.input_tokens, call.output_tokens) == ("embedding", 1_000, None)


def test_a_request_that_only_counts_tokens_is_no_call() -> None:
    asked = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "claude-sonnet-4-5",
        "llm.input_messages.0.message.role": "user",
        "output.value": '{"input_tokens": 260}',
    }
    of_the_sdk = {
        "gen_ai.request.model": "claude-sonnet-4-5",
        "anthropic.message.count_tokens.input_tokens": 260,
    }
    record = export(
        ("openinference.instrumentation.anthropic", [span(1, asked)]),
        ("com.anthropic.sdk.python", [span(2, of_the_sdk, parent=1)]),
    )
    decoded = decode(record)
    assert (decoded.calls, decoded.filtered, decoded.unread) == ([], 2, {})
