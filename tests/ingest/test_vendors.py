"""Bodies of vendors' REST APIs, as their SDKs send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call

BEGUN, ENDED = "2026-11-27T16:33:28.000Z", "2026-11-27T16:33:29.000Z"
LOOKUP = {"function": {"name": "lookup", "arguments": "{}"}}
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"message": {"tool_calls": [LOOKUP]}, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2},
}


def calls(path: str, body: object) -> list[Call]:
    decoded = decode(json.dumps({"method": "POST", "path": path, "body": body}).encode())
    assert not decoded.refused
    return decoded.calls


def langfuse(trace: dict[str, Any], generation: dict[str, Any]) -> Call:
    begin = {"id": "g", "traceId": "t", "startTime": BEGUN, "model": "gpt-4o"}
    batch = [
        {"type": "generation-create", "body": begin},
        {"type": "generation-update", "body": {"id": "g", "traceId": "t", "endTime": ENDED} | generation},
        {"type": "trace-create", "body": {"id": "t"} | trace},
        {"type": "trace-create", "body": {"id": "t", "output": "hi"}},
    ]
    (call,) = calls("/api/public/ingestion", {"batch": batch})
    return call


def test_langfuses_trace_tells_who_asked() -> None:
    call = langfuse({"userId": "u-1", "sessionId": "s-1", "metadata": {"team": "blue"}}, {})
    assert (call.user, call.session, call.team) == ("u-1", "s-1", "blue")
    assert langfuse({"id": "another", "userId": "u-1"}, {}).user is None


@pytest.mark.parametrize(
    ("cost", "dollars"),
    [
        ({"costDetails": {"input": 0.25, "output": 0.5}}, 0.75),
        ({"costDetails": {"input": 0.25, "total": 0.5}}, 0.5),
        ({"usage": {"input": 10, "totalCost": 0.5}}, 0.5),
        ({"costDetails": {"total": 0.0}}, None),
    ],
)
def test_the_cost_of_langfuse(cost: dict[str, Any], dollars: float | None) -> None:
    assert langfuse({}, cost).cost_usd == dollars


def test_a_failure_of_langfuse_is_named_by_its_message() -> None:
    failed = {"level": "ERROR", "statusMessage": "openai.RateLimitError: secret"}
    assert langfuse({}, failed).error_type == "RateLimitError"
    assert langfuse({}, failed | {"statusMessage": "secret"}).error_type == "error"


BODIES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "langfuse": (
        "/api/public/ingestion",
        {"batch": [{"type": "generation-create", "body": {
            "id": "g", "startTime": BEGUN, "endTime": ENDED, "model": "gpt-4o", "output": ANSWER,
        }}]},
    ),
    "langsmith": (
        "/runs/batch",
        {"post": [{"id": "r", "run_type": "llm", "start_time": BEGUN, "end_time": ENDED, "outputs": ANSWER}]},
    ),
    "opik": (
        "/v1/private/spans/batch",
        {"spans": [{"id": "s", "type": "llm", "start_time": BEGUN, "end_time": ENDED, "output": ANSWER}]},
    ),
    "weave": (
        "/calls/complete",
        {"batch": [{
            "id": "c", "op_name": "openai.chat.completions.create", "started_at": BEGUN, "ended_at": ENDED,
            "output": ANSWER,
        }]},
    ),
    "promptlayer": ("/track-request", {"request_end_time": 1_795_503_016.0, "request_response": ANSWER}),
    "helicone": ("/helicone", {"request_id": "h", "response_body": json.dumps(ANSWER)}),
}  # fmt: skip


@pytest.mark.parametrize("vendor", BODIES)
def test_the_tools_that_an_answer_asks_for(vendor: str) -> None:
    (call,) = calls(*BODIES[vendor])
    assert [tool.name for tool in call.tools or ()] == ["lookup"]
    assert (call.response_id, call.finish_reason) == ("chatcmpl-1", "tool_calls")


def test_the_end_of_a_span_of_opik_counts_as_its_client_for_typescript_sends_it() -> None:
    """Opik 2.0 for TypeScript: a call that takes longer than the client waits ends in a request of its own."""
    begin = {
        "id": "01a2210e-92ac-715e-9a72-a95c835a9cea",
        "start_time": BEGUN,
        "type": "llm",
        "model": "gpt-4o-mini",
    }
    end = {"trace_id": "t", "usage": {"prompt_tokens": 412, "completion_tokens": 37}, "end_time": ENDED}
    assert calls("/v1/private/spans/batch", {"spans": [begin]}) == []
    (call,) = calls(f"/v1/private/spans/{begin['id']}", end)
    assert (call.operation, call.input_tokens, call.output_tokens) == ("chat", 412, 37)
    (whole,) = calls("/v1/private/spans/batch", {"spans": [begin | end]})
    assert whole.id == call.id
    assert calls("/v1/private/traces/01a2210e-929a-77f9-b85b-073aa6cb41bb", {"end_time": ENDED}) == []


def test_langsmiths_clients_before_0_5_tell_the_type_and_the_start_only_at_the_beginning_of_a_run() -> None:
    """The end comes in another request, as 0.4.37 for Python and 0.3.50 for JavaScript send it."""
    order = "20261127T163328000000Z00000000-0000-0000-0000-000000000001"
    end = {
        "id": "r", "trace_id": "t", "dotted_order": f"20261127T163327000000Z{'0' * 8}.{order}", "end_time": ENDED,
        "outputs": {"usage_metadata": {"input_tokens": 10, "output_tokens": 2}},
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_type": "chat", "ls_model_name": "gpt-4o"}},
    }  # fmt: skip
    begin = {"id": "r", "run_type": "llm", "start_time": BEGUN}
    assert calls("/runs/batch", {"post": [begin]}) == []
    (call,) = calls("/runs/batch", {"patch": [end]})
    assert (call.operation, call.model, call.input_tokens, call.latency_ms) == ("chat", "gpt-4o", 10, 1_000)
    (whole,) = calls("/runs/batch", {"post": [begin], "patch": [end]})
    assert (whole.id, whole.ts, whole.latency_ms) == (call.id, call.ts, call.latency_ms)
    found = {
        "id": "s",
        "end_time": ENDED,
        "extra": {"metadata": {"ls_retriever_name": "faiss"}},
        "outputs": {},
    }
    assert [one.operation for one in calls("/runs/batch", {"patch": [found]})] == ["retrieval"]
    assert calls("/runs/batch", {"patch": [end | {"extra": {}}]}) == []  # of what, nothing tells


def test_langsmiths_client_for_javascript_tells_the_end_in_milliseconds() -> None:
    """As langsmith 0.12 for JavaScript has sent it: the start is a text, and the end a number."""
    patch = {
        "name": "a", "run_type": "llm", "start_time": "2026-11-28T06:34:35.490001Z", "end_time": 1_795_847_675_604,
        "outputs": {"text": "hi", "usage_metadata": {"input_tokens": 412, "output_tokens": 37, "total_tokens": 449}},
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini"}}, "session_name": "support",
        "trace_id": "01a220dc-de62-7000-8000-020aef2e6660", "id": "01a220dc-de62-7000-8000-020aef2e6660",
    }  # fmt: skip
    (call,) = calls("/runs/batch", {"post": [], "patch": [patch]})
    assert (call.ts.isoformat(), call.latency_ms) == ("2026-11-28T06:34:35.604000+00:00", 113.999)
    assert (call.model, call.input_tokens, call.output_tokens) == ("gpt-4o-mini", 412, 37)


@pytest.mark.parametrize("time", [1_764_000_000, 1_764_000_000.0, 1_764_000_000_000])
def test_a_number_is_a_time_in_seconds_or_milliseconds(time: float) -> None:
    (call,) = calls("/runs", {"id": "r", "run_type": "llm", "end_time": time})
    assert call.ts.timestamp() == 1_764_000_000


def test_a_run_of_langsmith_holds_langchains_result() -> None:
    details = {"id": "chatcmpl-1", "model_name": "gpt-4o-2024-08-06", "finish_reason": "stop"}
    message = {"kwargs": {"content": "hi", "response_metadata": details}}
    run = {
        "id": "r", "run_type": "llm", "start_time": BEGUN, "end_time": ENDED,
        "outputs": {"generations": [[{"text": "hi", "message": message}]], "llm_output": None},
        "extra": {"metadata": {"ls_model_name": "gpt-4o", "usage_metadata": {
            "input_tokens": 456, "output_tokens": 106, "total_tokens": 562, "input_token_details": {
                "cache_read": 300, "ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20,
            },
        }}},
    }  # fmt: skip
    (call,) = calls("/runs/batch", {"post": [run], "patch": []})
    assert (call.model, call.requested_model) == ("gpt-4o-2024-08-06", "gpt-4o")
    assert (call.response_id, call.finish_reason) == ("chatcmpl-1", "stop")
    assert (call.input_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (456, 50, 20)


def test_opik_takes_a_prompt_of_langchain_for_a_tool() -> None:
    span = {"id": "s", "type": "tool", "name": "weather", "start_time": BEGUN, "end_time": ENDED}
    (call,) = calls("/v1/private/spans/batch", {"spans": [span | {"output": {"output": "sun"}}]})
    assert call.operation == "tool"
    prompt = span | {"name": "ChatPromptTemplate", "output": {"output": {"messages": [{"type": "human"}]}}}
    assert calls("/v1/private/spans/batch", {"spans": [prompt]}) == []


def test_failures_of_opik_and_weave_have_their_class_and_the_asked_for_model() -> None:
    error = {"exception_type": "Exception", "traceback": "RateLimitError('secret')Traceback"}
    span = {"id": "s", "type": "llm", "start_time": BEGUN, "end_time": ENDED, "error_info": error,
            "metadata": {"ls_model_name": "gpt-4o", "ls_provider": "openai"}}  # fmt: skip
    (call,) = calls("/v1/private/spans/batch", {"spans": [span]})
    assert (call.model, call.provider, call.error_type) == ("gpt-4o", "openai", "RateLimitError")
    exception = json.dumps({"type": "RateLimitError", "message": "secret"})
    entry = {"id": "c", "op_name": "openai.chat.completions.create", "started_at": BEGUN, "ended_at": ENDED,
             "inputs": {"model": "gpt-4o"}, "exception": exception}  # fmt: skip
    (call,) = calls("/calls/complete", {"batch": [entry]})
    assert (call.model, call.error_type) == ("gpt-4o", "RateLimitError")


def litellms(vendor: str, kind: str, answer: Mapping[str, Any]) -> Call:
    """A call of LiteLLM as its callback for a vendor sends it, with the usage less exact than in the answer."""
    times = {"start_time": BEGUN, "end_time": ENDED}
    if vendor == "langsmith":
        asked = {"litellm_call_id": "c", "call_type": kind, "custom_llm_provider": "openai"}
        told = {"usage_metadata": {"input_tokens": 290, "output_tokens": 110, "total_tokens": 400}}
        run = times | {"id": "r", "run_type": "llm", "inputs": asked, "outputs": answer}
        (call,) = calls("/runs/batch", {"post": [run | {"extra": {"metadata": told}}]})
    else:
        made = {"created_from": "litellm", "type": kind}
        span = times | {"id": "s", "type": "llm", "provider": "openai", "output": answer, "metadata": made}
        used = {"prompt_tokens": 290, "completion_tokens": 110, "total_tokens": 400}
        (call,) = calls("/v1/private/spans/batch", {"spans": [span | {"usage": used}]})
    return call


@pytest.mark.parametrize("vendor", ["langsmith", "opik"])
def test_what_litellm_tells_a_vendor_has_the_cache_in_the_answer_only(vendor: str) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 64}}
    used: dict[str, Any] = {"prompt_tokens": 290, "completion_tokens": 110, "total_tokens": 400}
    call = litellms(vendor, "acompletion", ANSWER | {"usage": used | details})
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (290, 110, 64)
    assert (call.operation, call.provider) == ("chat", "openai")


@pytest.mark.parametrize("vendor", ["langsmith", "opik"])
def test_an_embedding_that_litellm_tells_a_vendor_is_one(vendor: str) -> None:
    assert litellms(vendor, "aembedding", {"model": "text-embedding-3-small"}).operation == "embedding"
