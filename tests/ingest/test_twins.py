"""What two instrumentors report of one call is one call, also where neither knows the id of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmvitals.backtest.replay import replay_lines
from llmvitals.ingest import decode
from llmvitals.settings import Settings
from spans import CHAT, Attributes, export, span

ASKED: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
FAILED: dict[str, Any] = {"status": {"code": 2}}


def between(begun: int, ended: int) -> dict[str, Any]:
    """The times of a span. begun, ended: ms."""
    start = 1_795_503_015_000
    return {
        "startTimeUnixNano": str((start + begun) * 1_000_000),
        "endTimeUnixNano": str((start + ended) * 1_000_000),
    }


def test_a_failure_that_a_framework_and_the_sdk_report_is_one() -> None:
    # Anthropic's SDK, and OpenInference's LangChain and OpenAI instrumentors, in traces of their own.
    outer = span(1, ASKED | {"error.type": "RateLimitError"}, trace=1, **FAILED, **between(0, 100))
    inner = span(2, ASKED | {"error.type": "rate_limit_error"}, trace=2, **FAILED, **between(10, 90))
    (call,) = decode(export(("langchain", [outer]), ("sdk", [inner]))).calls
    assert (call.status, call.error_type, call.latency_ms) == ("error", "RateLimitError", 100.0)


def test_failures_at_other_times_of_other_models_or_beside_an_answer_are_others() -> None:
    outer = span(1, ASKED, trace=1, **FAILED, **between(0, 100))
    other_model = ASKED | {"gen_ai.request.model": "gpt-4o-mini"}
    for inner in (
        span(2, ASKED, trace=2, **FAILED, **between(110, 120)),
        span(2, other_model, trace=2, **FAILED, **between(10, 90)),
        span(2, CHAT, trace=2, **between(10, 90)),
    ):
        assert len(decode(export(("langchain", [outer]), ("sdk", [inner]))).calls) == 2


def test_an_instrumentor_reports_a_failure_once_so_that_retries_count() -> None:
    outer = span(1, ASKED, trace=1, **FAILED, **between(0, 100))
    tries = [
        span(2 + number, ASKED, trace=2 + number, **FAILED, **between(30 * number, 30 * number + 20))
        for number in range(3)
    ]
    assert len(decode(export(("litellm", [outer]), ("sdk", tries))).calls) == 3


def test_a_framework_that_knows_the_asked_for_model_only_tells_of_the_same_call() -> None:
    outer = span(1, CHAT | {"gen_ai.response.model": "gpt-4o"}, trace=1, **between(0, 100))
    answer = {"gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": "resp_1"}
    inner = span(2, CHAT | answer, trace=2, **between(10, 90))
    (call,) = decode(export(("langchain", [outer]), ("sdk", [inner]))).calls
    assert (call.input_tokens, call.response_id) == (10, "resp_1")


def test_a_guardrail_of_a_failed_request_that_litellm_reports_twice_is_one() -> None:
    blocked = {
        "openinference.span.kind": "GUARDRAIL",
        "guardrail_name": "words",
        "guardrail_status": "guardrail_intervened",
    }
    rails = [span(2, blocked, parent=1), span(3, blocked, parent=4), span(5, blocked, **between(0, 7))]
    other = span(6, blocked | {"guardrail_name": "pii"}, parent=4)
    calls = decode(export(("litellm", [*rails, other]))).calls
    assert [one.name for call in calls for one in call.guardrails or ()] == ["words", "words", "pii"]


@pytest.mark.parametrize("kind", ["chat", "embeddings"])
def test_calls_whose_damaged_ids_put_them_above_each_other_are_not_lost(kind: str) -> None:
    used = CHAT | {"gen_ai.operation.name": kind}
    ring = [span(1, used, parent=3), span(2, used, parent=1), span(3, used, parent=2)]
    decoded = decode(export(("sdk", [*ring, span(4, used)])))
    assert len(decoded.calls) == 2


def test_tokens_that_an_instrumentor_does_not_look_at_come_from_the_other() -> None:
    id_ = {"gen_ai.response.id": "msg_1"}
    outer = span(1, CHAT | id_ | {"gen_ai.usage.cache_creation.input_tokens": 0}, trace=1)
    inner = span(2, CHAT | id_ | {"gen_ai.usage.cache_write.input_tokens": 5}, trace=2)
    (call,) = decode(export(("langchain", [outer]), ("sdk", [inner]))).calls
    assert call.cache_write_tokens == 5


@pytest.mark.parametrize("order", [1, -1])
def test_what_litellms_callback_and_its_spans_tell_counts_once(order: int) -> None:
    # An answer, a request that a guardrail stopped, and an embedding; of the last two LiteLLM has no id but
    # that of the call.
    data = Path(__file__).parents[1] / "data" / "interop"
    payloads = json.loads((data / "litellm_proxy_generic_api.json").read_bytes())
    traces = json.loads((data / "litellm_proxy_otel.json").read_bytes())
    spans = [
        (span, {item["key"]: item["value"].get("stringValue") for item in span["attributes"]})
        for group in traces["resourceSpans"]
        for scoped in group["scopeSpans"]
        for span in scoped["spans"]
        if span["name"] == "litellm_request"
    ]
    assert len(spans) == len(payloads) == 3
    for payload, (one, attributes) in zip(payloads, spans, strict=True):  # as of one run
        payload["litellm_call_id"] = attributes["litellm.call_id"]
        payload["startTime"] = int(one["startTimeUnixNano"]) / 1e9
        payload["endTime"] = int(one["endTimeUnixNano"]) / 1e9
    records = [json.dumps(payloads).encode(), json.dumps(traces).encode()][::order]
    once = replay_lines(records[:1], Settings())
    both = replay_lines(records, Settings())
    for kind in ("llm", "embedding"):
        assert both["kinds"][kind] == once["kinds"][kind]
    for total in ("calls", "cost_nano", "stopped_calls"):
        assert both["totals"][total] == once["totals"][total]


def test_mlflows_autologgers_report_a_call_once_also_in_different_records() -> None:
    used = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.chat.tokenUsage": '{"input_tokens": 10, "output_tokens": 2}',
    }
    metadata = {"id": "chatcmpl-1", "model_name": "gpt-4o"}
    outputs = {
        "Completions": {"id": "chatcmpl-1", "model": "gpt-4o"},
        "ChatOpenAI": {"generations": [[{"message": {"content": "hi", "response_metadata": metadata}}]]},
    }
    records = [
        export(("mlflow.tracing.provider", [
            span(number, used | {"mlflow.spanOutputs": json.dumps(outputs[name])}, name=name)
        ]))
        for number, name in enumerate(outputs, 1)
    ]  # fmt: skip
    kinds = replay_lines(records, Settings())["kinds"]
    assert (kinds["llm"]["ok"], kinds["llm"]["input_tokens"]) == (1, 10)


def test_a_guardrail_that_litellm_reports_twice_is_one_in_different_records() -> None:
    blocked = {
        "openinference.span.kind": "GUARDRAIL",
        "guardrail_name": "words",
        "guardrail_status": "guardrail_intervened",
    }
    records = [export(("litellm", [span(number, blocked)])) for number in (1, 2)]
    assert replay_lines(records, Settings())["kinds"]["guardrail"]["ok"] == 1
