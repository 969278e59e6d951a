"""What single libraries write otherwise than the conventions say, as their current versions do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.call import Call
from spans import CHAT, Attributes, export, span


def only(scope: str, attributes: Attributes, **more: Any) -> Call:
    (call,) = decode(export((scope, [span(1, attributes, **more)]))).calls
    return call


def says(call: Call, **fields: object) -> None:
    assert {name: getattr(call, name) for name in fields} == fields


def event(name: str, ms: int = 0, **attributes: str) -> dict[str, Any]:
    """An event of a span, ms after its start. Of the names of attributes `__` is a dot."""
    return {
        "name": name,
        "timeUnixNano": str(1_795_503_015_000_000_000 + ms * 1_000_000),
        "attributes": [
            {"key": key.replace("__", "."), "value": {"stringValue": value}}
            for key, value in attributes.items()
        ],
    }


@pytest.mark.parametrize("name", ["Langchain", "strands-agents", "LlamaIndex"])
def test_a_framework_is_no_provider(name: str) -> None:
    call = only("a", CHAT | {"gen_ai.system": name})
    assert call.provider is None
    assert Prices().price(call) is not None


def test_the_provider_of_azures_inference_has_prices() -> None:
    assert Prices().price(only("a", CHAT | {"gen_ai.system": "az.ai.inference"})) is not None


def test_cache_writes_for_an_hour_of_anthropics_sdk() -> None:
    written = {
        "gen_ai.usage.cache_write.input_tokens": 5,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 2,
    }
    says(only("com.anthropic.sdk.python", CHAT | written), cache_write_tokens=5, cache_write_1h_tokens=2)


def test_strands_counts_bedrocks_cache_beside_the_input_and_in_the_total() -> None:
    used = {
        "gen_ai.system": "strands-agents",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read_input_tokens": 1_000,
        "gen_ai.usage.total_tokens": 1_015,
    }
    says(only("strands.telemetry.tracer", CHAT | used), input_tokens=1_010, output_tokens=5)


def test_litellm_counts_bedrocks_cache_in_the_input() -> None:
    used = {
        "gen_ai.system": "bedrock",
        "gen_ai.usage.input_tokens": 1_010,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 1_000,
        "metadata.usage_object": json.dumps({"prompt_tokens_details": {"audio_tokens": 4}}),
    }
    says(only("litellm", CHAT | used), input_tokens=1_010, audio_input_tokens=4)


@pytest.mark.parametrize(("scope", "whole"), [("langchain", 1_010), ("bedrock", 1_110)])
def test_langchain_counts_bedrocks_cache_in_the_input(scope: str, whole: int) -> None:
    used = {
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.usage.input_tokens": 1_010,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.total_tokens": 1_015,
        "gen_ai.usage.cache_read.input_tokens": 100,
    }
    says(only(f"opentelemetry.instrumentation.{scope}", CHAT | used), input_tokens=whole, output_tokens=5)


def test_openllmetrys_langchain_tells_some_models_only_as_a_property() -> None:
    told = {
        "gen_ai.request.model": "unknown",
        "gen_ai.response.model": "unknown",
        "traceloop.association.properties.ls_model_name": "llama3.2",
    }
    says(only("opentelemetry.instrumentation.langchain", CHAT | told), model="llama3.2")


def test_a_completion_of_a_model_for_embeddings_is_an_embedding() -> None:
    asked = {"gen_ai.operation.name": "text_completion", "gen_ai.request.model": "titan-embed-text-v2:0"}
    says(only("opentelemetry.instrumentation.bedrock", CHAT | asked), operation="embedding", input_tokens=10)


def test_details_and_cost_of_pydantic_ai() -> None:
    more = {"gen_ai.usage.details.reasoning_tokens": 1, "operation.cost": 0.25}
    says(only("pydantic-ai", CHAT | more), reasoning_tokens=1, cost_usd=0.25)


@pytest.mark.parametrize(("told", "ms"), [(344, 344.0), (0.344, 344.0), (0.0, 0.0)])
def test_strands_writes_the_first_token_in_milliseconds(told: float, ms: float) -> None:
    call = only("strands.telemetry.tracer", CHAT | {"gen_ai.server.time_to_first_token": told})
    assert call.ttft_ms == ms


def test_the_answer_as_an_event() -> None:
    azure = {"message": {"tool_calls": [{"function": {"name": "lookup"}}]}, "finish_reason": "tool_calls"}
    strands = [{"toolUse": {"toolUseId": "1", "name": "lookup", "input": {}}}]
    events = [event("gen_ai.choice", gen_ai__event__content=json.dumps(azure))]
    call = only("a", CHAT, events=events)
    assert (call.finish_reason, [tool.name for tool in call.tools or ()]) == ("tool_calls", ["lookup"])
    events = [event("gen_ai.choice", finish_reason="tool_use", message=json.dumps(strands))]
    call = only("a", CHAT, events=events)
    assert (call.finish_reason, [tool.name for tool in call.tools or ()]) == ("tool_use", ["lookup"])


def test_semantic_kernels_words() -> None:
    call = only("semantic_kernel", CHAT | {"gen_ai.response.finish_reason": "FinishReason.STOP"})
    assert call.finish_reason == "stop"
    call = only("semantic_kernel", CHAT | {"error.type": "<class 'a.b.ServiceError'>"}, status={"code": 2})
    assert call.error_type == "ServiceError"


def test_an_exception_without_a_class_of_its_own_is_named_by_its_message() -> None:
    failed = {"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    told = {"exception__type": "Exception", "exception__message": "RateLimitError('secret')\n\nTraceback"}
    call = only("langsmith", failed, events=[event("exception", **told)])
    says(call, status="error", error_type="RateLimitError")
    told["exception__message"] = "secret"
    assert only("langsmith", failed, events=[event("exception", **told)]).error_type == "Exception"


def test_an_embedding_without_an_operation() -> None:
    native = {"gen_ai.request.model": "mistral-embed", "gen_ai.usage.prompt_tokens": 13}
    says(only("mistralai_sdk_tracer", native), operation="embedding", input_tokens=13)


def test_an_embedding_of_llamaindex_has_an_output_only() -> None:
    outer = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "unknown"}
    vector = outer | {"traceloop.entity.output": "[[0.5, 0.5]]"}
    inner = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 7,
    }
    says(only("opentelemetry.instrumentation.llamaindex", vector), operation="embedding", model="")
    (call,) = decode(export(("a", [span(1, vector)]), ("b", [span(2, inner, parent=1)]))).calls
    says(call, input_tokens=7, model="m", requested_model="m")
    assert decode(export(("a", [span(1, outer)]))).calls == []


def test_litellms_cache_and_tools_by_opentelemetry() -> None:
    hit = CHAT | {"hidden_params": '{"cache_key": "cdb0", "response_cost": null}'}
    says(only("litellm", hit), cache_hit=True, cost_usd=None)
    assert Prices().price(only("litellm", hit)) == 0
    says(only("litellm", hit | {"gen_ai.cost.total_cost": 0.5}), cache_hit=None, cost_usd=0.5)
    says(only("litellm", CHAT | {"hidden_params": '{"cache_key": null}'}), cache_hit=None)
    tools = only("litellm", CHAT | {"gen_ai.completion.0.function_call.name": "lookup"}).tools
    assert [tool.name for tool in tools or ()] == ["lookup"]


STREAM: Attributes = {
    "logfire.span_type": "span",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.input.messages": "[]",
}


def test_a_stream_of_logfire_counts_by_its_log() -> None:
    log = CHAT | {"logfire.span_type": "log", "duration": 0.5, "gen_ai.response.id": "chatcmpl-1"}
    decoded = decode(export(("logfire.openai", [span(1, STREAM), span(2, log, trace=2)])))
    (call,) = decoded.calls
    says(call, stream=True, latency_ms=500.0, input_tokens=10, response_id="chatcmpl-1")
    assert (decoded.filtered, dict(decoded.unread)) == (1, {})


def test_other_spans_of_logfire() -> None:
    failed = only("logfire.openai", STREAM, status={"code": 2})
    says(failed, status="error", stream=None)
    says(only("logfire.openai", CHAT | {"logfire.span_type": "span"}), latency_ms=1000.0, stream=None)
    pending = span(1, CHAT | {"logfire.span_type": "pending_span"})
    assert decode(export(("pydantic-ai", [pending]))).calls == []


def openinference(**more: object) -> Attributes:
    return {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.invocation_parameters": json.dumps({"model": "gpt-4o"}),
    } | {name.replace("__", "."): value for name, value in more.items()}


def test_a_failed_call_of_openinference_has_the_model_that_was_asked_for() -> None:
    says(only("openinference", openinference(), status={"code": 2}), model="gpt-4o", status="error")


LOOKUP = {"function": {"name": "lookup", "arguments": "{}"}}
RESULT = {
    "generations": [[{
        "message": {"kwargs": {
            "tool_calls": [{"name": "lookup", "args": {}, "id": "1"}],
            "response_metadata": {"id": "chatcmpl-1", "finish_reason": "tool_calls"},
        }},
    }]],
}  # fmt: skip
"""An answer as LangChain keeps it."""


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ({"langfuse.observation.type": "generation"}, "langfuse.observation.output"),
        ({"mlflow.spanType": '"CHAT_MODEL"'}, "mlflow.spanOutputs"),
        ({"langsmith.span.kind": "llm"} | CHAT, "gen_ai.completion"),
        ({"openinference.span.kind": "LLM", "llm.token_count.prompt": 1}, "output.value"),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        {
            "id": "chatcmpl-1",
            "choices": [{"message": {"tool_calls": [LOOKUP]}, "finish_reason": "tool_calls"}],
        },
        {"id": "chatcmpl-1", "output": [{"type": "function_call", "name": "lookup"}, {"type": "message"}]},
        {
            "id": "chatcmpl-1",
            "content": [{"type": "tool_use", "name": "lookup"}],
            "stop_reason": "tool_calls",
        },
        RESULT,
    ],
)
def test_the_tools_that_an_answer_asks_for(kind: Attributes, attribute: str, answer: object) -> None:
    call = only("a", kind | {attribute: json.dumps(answer)})
    assert [tool.name for tool in call.tools or ()] == ["lookup"]
    assert call.response_id == "chatcmpl-1"
    assert call.finish_reason == (None if isinstance(answer, dict) and "output" in answer else "tool_calls")


def test_mlflow_tells_the_first_token_of_langchain_and_the_asked_for_model() -> None:
    attributes = {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": '{"model": "gpt-4o"}',
                  "mlflow.llm.model": '"gpt-4o-2024-08-06"', "mlflow.spanOutputs": "{}"}  # fmt: skip
    call = only("mlflow", attributes, events=[event("new_token", 55), event("new_token", 80)])
    says(call, ttft_ms=55.0, stream=True, model="gpt-4o-2024-08-06", requested_model="gpt-4o")


def test_langfuse_adds_up_the_parts_of_a_cost_and_knows_users_by_its_own_names() -> None:
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.cost_details": '{"input": 0.25, "output": 0.5}',
        "langfuse.observation.metadata.langfuse_user_id": '"u-1"',
        "langfuse.session.id": "s-1",
        "langfuse.observation.level": "ERROR",
        "langfuse.observation.status_message": "RateLimitError: secret",
    }
    call = only("langfuse-sdk", attributes)
    says(call, cost_usd=0.75, user="u-1", session="s-1", error_type="RateLimitError")


def test_who_asked_stands_on_one_span_of_langfuses_trace() -> None:
    asked = {"langfuse.observation.type": "chain", "user.id": "u-1", "session.id": "s-1"}
    generation = {"langfuse.observation.type": "generation", "gen_ai.request.model": "gpt-4o"}
    spans = [
        span(3, generation, parent=2),
        span(2, {"langfuse.observation.type": "span"}, parent=1),
        span(4, generation | {"user.id": "u-2"}, parent=1),
        span(5, generation),
        span(1, asked),
    ]
    calls = decode(export(("langfuse-sdk", spans))).calls
    assert {call.span_id: (call.user, call.session) for call in calls} == {
        f"{3:016x}": ("u-1", "s-1"),
        f"{4:016x}": ("u-2", "s-1"),
        f"{5:016x}": (None, None),
    }


def test_vercels_ai_sdk() -> None:
    """Recorded with ai 6.0 of npm: two requests around a tool, a stream, an embedding, and one that failed."""
    decoded = decode((Path(__file__).parents[1] / "data" / "ingest" / "vercel_ai.json").read_bytes())
    assert (decoded.filtered, dict(decoded.unread)) == (4, {})
    calls = sorted(decoded.calls, key=lambda call: call.ts)
    tool, embedding = (
        next(call for call in calls if call.operation == kind) for kind in ("tool", "embedding")
    )
    failed, first, second, stream = (call for call in calls if call.operation == "chat")
    for call in (first, second, stream):
        says(call, input_tokens=412, cached_tokens=256, output_tokens=37, reasoning_tokens=8, status="ok")
    for call in (first, second, stream, embedding, tool):
        says(call, user="u-7", session="s-1", app="jsapp")
    says(first, provider="anthropic", finish_reason="tool-calls", response_id="r1")
    assert [[one.name for one in call.tools or ()] for call in (first, tool)] == [["lookup"], ["lookup"]]
    says(stream, provider="openai", model="gpt-4o-mini", stream=True)
    assert stream.ttft_ms == pytest.approx(12.3, abs=0.1)
    says(embedding, provider="openai", model="text-embedding-3-small", input_tokens=5, output_tokens=None)
    says(failed, model="gpt-4o", provider="openai", status="error", error_type="AI_APICallError")
    assert Prices().price(stream) == 156 * 150 + 256 * 75 + 37 * 600


VERCEL = {
    "ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "anthropic.messages",
    "ai.model.id": "claude-haiku-4-5",
}  # fmt: skip


def test_version_5_of_vercels_ai_sdk_tells_anthropics_cache_in_anthropics_own_usage() -> None:
    """As ai 5.0 has sent it: its own counts leave the cache out."""
    counts = {"ai.usage.promptTokens": 21, "ai.usage.completionTokens": 12, "gen_ai.usage.input_tokens": 21}
    usage = {
        "input_tokens": 21,
        "output_tokens": 12,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 1_800,
    }
    told = {
        "ai.response.providerMetadata": json.dumps(
            {"anthropic": {"usage": usage, "cacheCreationInputTokens": 100}}
        )
    }
    call = only("ai", VERCEL | counts | told)
    says(call, input_tokens=1_921, cached_tokens=1_800, cache_write_tokens=100, output_tokens=12)
    says(only("ai", VERCEL | counts), input_tokens=21, output_tokens=12, cached_tokens=None)
    other = {"ai.response.providerMetadata": json.dumps({"bedrock": {"usage": {"cacheWriteInputTokens": 5}}})}
    says(only("ai", VERCEL | counts | other), input_tokens=21, output_tokens=12)


def test_the_counts_of_streams_of_vercels_ai_sdk() -> None:
    """Anthropic's are without the cache in version 5, and with it in version 6."""
    stream = VERCEL | {"ai.operationId": "ai.streamText.doStream"}
    five = {"ai.usage.inputTokens": 20, "ai.usage.outputTokens": 7, "ai.usage.cachedInputTokens": 1_800}
    says(only("ai", stream | five | {"ai.usage.totalTokens": 27}), input_tokens=1_820, cached_tokens=1_800)
    six = five | {"ai.usage.inputTokens": 1_820, "ai.usage.totalTokens": 1_827}
    says(only("ai", stream | six), input_tokens=1_820, cached_tokens=1_800, stream=True)


def test_a_stream_of_vercels_ai_sdk_that_broke_failed() -> None:
    broke = {"ai.operationId": "ai.streamText.doStream", "gen_ai.response.finish_reasons": "error"}
    says(only("ai", VERCEL | broke), status="error", error_type="error")


ANSWER = json.dumps({
    "id": "chatcmpl-1", "model": "gpt-5", "service_tier": "flex",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 30},
})  # fmt: skip


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "openinference.span.kind": "LLM", "llm.model_name": "gpt-5", "output.value": ANSWER,
            "llm.token_count.prompt": 10, "llm.token_count.completion": 2, "llm.token_count.total": 30,
        },
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"gpt-5"', "mlflow.spanOutputs": ANSWER},
        {
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-5",
            "langfuse.observation.usage_details": '{"input": 10, "output": 2, "total": 30}',
            "langfuse.observation.output": ANSWER,
        },
    ],
)  # fmt: skip
def test_the_service_tier_and_the_thoughts_of_an_answer_set_its_price(attributes: Attributes) -> None:
    call = only("a", attributes)
    says(call, service_tier="flex", input_tokens=10, output_tokens=20)
    # gpt-5 costs $1.25 and $10 for a million tokens, and half of it in the tier flex.
    assert Prices().price(call) == (10 * 1_250 + 20 * 10_000) // 2


def test_the_service_tier_in_bodies_of_rest_apis() -> None:
    helicone = {"request_id": "r", "request_body": '{"model": "gpt-5"}', "response_body": ANSWER}
    opik = {
        "id": "s", "type": "llm", "start_time": "2026-11-24T00:00:00Z", "end_time": "2026-11-24T00:00:01Z",
        "model": "gpt-5", "usage": {"prompt_tokens": 10, "completion_tokens": 2},
        "output": {"choices": []}, "metadata": {"service_tier": "flex"},
    }  # fmt: skip
    for path, body in (("/helicone", helicone), ("/v1/private/spans", opik)):
        record = json.dumps({"method": "POST", "path": path, "body": body}).encode()
        (call,) = decode(record, 1_795_507_000_000_000).calls
        says(call, service_tier="flex")


def test_a_coding_agents_call_is_its_teams() -> None:
    # As Claude Code's documentation sets the attributes of its resource.
    resource = {"team.id": "platform", "department": "engineering"}
    event_ = {
        "event.name": "api_request", "session.id": "s", "event.sequence": 3, "model": "claude-sonnet-4-5",
        "input_tokens": "10", "output_tokens": "20", "cache_read_tokens": "1000", "cost_usd": "0.05",
    }  # fmt: skip
    record = {"timeUnixNano": "1795503015000000000", "attributes": span(1, event_)["attributes"]}
    scoped = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": [record]}
    about = {"attributes": span(1, resource)["attributes"]}
    logs = {"resourceLogs": [{"resource": about, "scopeLogs": [scoped]}]}
    (call,) = decode(json.dumps(logs).encode()).calls
    says(call, team="platform", tags={"billing": "engineering"}, input_tokens=1_010, cost_usd=0.05)


def test_evaluations_without_a_span_are_told_apart_by_the_answer_or_their_time() -> None:
    def evaluation(second: int, **about: str) -> dict[str, Any]:
        told = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5}
        names = {name.replace("__", "."): value for name, value in about.items()}
        return {
            "timeUnixNano": f"{1_795_503_015 + second}000000000",
            "eventName": "gen_ai.evaluation.result",
            "attributes": span(1, told | names)["attributes"],
        }

    records = [
        evaluation(0), evaluation(1), evaluation(1),  # the last one was sent again
        evaluation(2, gen_ai__response__id="a"), evaluation(2, gen_ai__response__id="b"),
        evaluation(3, gen_ai__response__id="b"),  # an answer has one score of a name
    ]  # fmt: skip
    scoped = {"scope": {"name": "judge"}, "logRecords": records}
    logs = {"resourceLogs": [{"scopeLogs": [scoped]}]}
    assert len({call.id for call in decode(json.dumps(logs).encode()).calls}) == 4


@pytest.mark.parametrize(
    ("used", "answer", "cached"),
    [
        (
            {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}}},
            8,
        ),
        (
            {"input_tokens": 10, "output_tokens": 8, "total_tokens": 18},
            {"usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 5, "thoughts_token_count": 3,
                                "cached_content_token_count": 4, "total_token_count": 18}},
            4,
        ),
    ],
)  # fmt: skip
def test_mlflows_early_counts_leave_the_cache_to_the_answer(
    used: Attributes, answer: Attributes, cached: int
) -> None:
    told = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.chat.tokenUsage": json.dumps(used),
        "mlflow.spanOutputs": json.dumps(answer),
    }
    says(only("mlflow.tracing.provider", told), input_tokens=10, cached_tokens=cached)


ANSWERED = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
OF_LANGCHAIN = {"input_tokens": 9, "output_tokens": 3, "input_token_details": {"cache_read": 4}}


@pytest.mark.parametrize(
    ("name", "attribute", "parts"),
    [
        (
            "mlflow.chunk.item.{}",
            "mlflow__chunk__value",
            [{"id": "c", "choices": [{"delta": {}}]}, {"id": "c", "choices": [], "usage": ANSWERED}],
        ),
        (
            "new_token",
            "chunk",
            [
                {"kwargs": {"message": {"kwargs": told}}}
                for told in ({}, {"usage_metadata": OF_LANGCHAIN}, {})
            ],
        ),
    ],
)
def test_mlflows_early_streams_have_their_usage_in_the_last_part(
    name: str, attribute: str, parts: list[dict[str, Any]]
) -> None:
    told = {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": '"It is fine."', "model": '"gpt-4o"'}
    events = [
        event(name.format(place), place, **{attribute: json.dumps(part)}) for place, part in enumerate(parts)
    ]
    call = only("mlflow.tracing.provider", told, events=events)
    says(call, model="gpt-4o", input_tokens=9, output_tokens=3, cached_tokens=4, stream=True)


def test_mlflows_answer_names_the_model_that_answered() -> None:
    told = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "model": '"gpt-4o"',
        "mlflow.spanOutputs": json.dumps({"model": "gpt-4o-2024-08-06", "usage": ANSWERED}),
    }
    says(only("mlflow.tracing.provider", told), model="gpt-4o-2024-08-06")


ASKED_BY_CLAUDE_CODE: Attributes = {
    "span.type": "llm_request", "session.id": "s-1", "model": "claude-opus-4-5", "gen_ai.system": "anthropic",
    "gen_ai.request.model": "claude-opus-4-5", "gen_ai.response.id": "req_1", "request_id": "req_1",
    "input_tokens": 2, "output_tokens": 1_200, "cache_read_tokens": 84_562, "cache_creation_tokens": 7_096,
    "success": True, "stop_reason": "tool_use", "ttft_ms": 400,
}  # fmt: skip


def test_claude_codes_spans_are_calls_and_tools() -> None:
    scope = "com.anthropic.claude_code.tracing"
    call = only(scope, ASKED_BY_CLAUDE_CODE)
    says(call, input_tokens=91_660, cached_tokens=84_562, cache_write_tokens=7_096, output_tokens=1_200,
         model="claude-opus-4-5", provider="anthropic", session="s-1", agent="claude_code",
         response_id="req_1", latency_ms=1_000, ttft_ms=400, finish_reason="tool_use")  # fmt: skip
    assert only(scope, ASKED_BY_CLAUDE_CODE | {"success": False}).status == "error"
    used = {
        "span.type": "tool",
        "tool_name": "Bash",
        "tool_use_id": "toolu_1",
        "gen_ai.tool.call.id": "toolu_1",
    }
    tool = only(scope, used)
    assert (tool.operation, [one.name for one in tool.tools or ()]) == ("tool", ["Bash"])
    parts = [{"span.type": kind} for kind in ("interaction", "tool.execution", "tool.blocked_on_user")]
    decoded = decode(export((scope, [span(number, part) for number, part in enumerate(parts, 1)])))
    assert (decoded.calls, dict(decoded.unread)) == ([], {})


def logged(scope: str, name: str, **attributes: str) -> list[Call]:
    given = [
        {"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()
    ]
    record = {"timeUnixNano": "1795503015000000000", "eventName": name, "attributes": given}
    logs = [{"scope": {"name": scope}, "logRecords": [record]}]
    return decode(json.dumps({"resourceLogs": [{"scopeLogs": logs}]}).encode()).calls


def test_claude_codes_events_share_an_id_with_its_spans() -> None:
    scope = "com.anthropic.claude_code.events"
    (call,) = logged(scope, "api_request", model="claude-opus-4-5", input_tokens="2", request_id="req_1")
    assert call.response_id == "req_1"
    (tool,) = logged(scope, "tool_result", tool_name="Bash", success="true", tool_use_id="toolu_1")
    assert (tool.status, tool.response_id) == ("ok", "toolu_1")


@pytest.mark.parametrize(
    ("name", "attributes", "failures"),
    [
        ("codex.sse_event", {"event__kind": "response.failed", "error__message": "x"}, 1),
        ("codex.sse_event", {"error__message": "idle timeout waiting for SSE"}, 1),
        ("codex.sse_event", {"event__kind": "response.output_item.done", "error__message": "x"}, 0),
        ("codex.sse_event", {"event__kind": "response.created"}, 0),
        ("codex.websocket_request", {"error__message": "x"}, 1),
        ("codex.websocket_request", {"success": "true"}, 0),
    ],
)
def test_streams_of_codex_that_broke_are_failures(
    name: str, attributes: dict[str, str], failures: int
) -> None:
    assert [call.status for call in logged("codex", name, **attributes)] == ["error"] * failures


OF_AZURE = {"gen_ai__evaluation__score": "4.5", "gen_ai__evaluator__name": "relevance"}


def test_evaluations_before_their_events_had_one_name() -> None:
    (call,) = logged("azure", "gen_ai.evaluation.relevance", gen_ai__response__id="r", **OF_AZURE)
    assert (call.operation, dict(call.scores or {})) == ("evaluation", {"relevance": 4.5})
    (call,) = logged("azure", "gen_ai.evaluation.fluency", gen_ai__evaluation__score="3")
    assert dict(call.scores or {}) == {"fluency": 3.0}
    assert logged("azure", "gen_ai.evaluation.result", gen_ai__evaluation__score="3") == []
    assert logged("azure", "gen_ai.evaluation.missing_score", gen_ai__evaluator__name="x") == []
    event_ = event("gen_ai.evaluation.relevance", **OF_AZURE)
    assert dict(only("a", CHAT, events=[event_]).scores or {}) == {"relevance": 4.5}
