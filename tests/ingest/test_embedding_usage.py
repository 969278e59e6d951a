"""Usage of Voyage and Cohere in each format: a total only, and billed units."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.call import Call
from spans import Attributes, export, span

BEGUN, ENDED = "2026-11-27T16:33:27Z", "2026-11-27T16:33:28Z"
VOYAGE = {"object": "list", "model": "voyage-3", "usage": {"total_tokens": 9}}
COHERE = {"id": "e", "meta": {"billed_units": {"input_tokens": 9}}}
TOTAL = json.dumps({"total_tokens": 9})


def rest(path: str, body: Any) -> Call:
    (call,) = decode(json.dumps({"method": "POST", "path": path, "body": body}).encode(), 1).calls
    return call


def litellm(**more: Any) -> Call:
    payload = {"id": "a", "litellm_call_id": "c", "endTime": 1_795_503_016.0, "model": "voyage-3",
               "prompt_tokens": 0, "completion_tokens": 0, "response_cost": 0.25} | more  # fmt: skip
    (call,) = decode(json.dumps(payload).encode()).calls
    return call


@pytest.mark.parametrize("answer", [VOYAGE, COHERE])
def test_embeddings_by_rest(answer: dict[str, Any]) -> None:
    run = {"id": "r", "start_time": BEGUN, "end_time": ENDED, "run_type": "embedding", "outputs": answer}
    weave = {
        "id": "c",
        "op_name": "x/op/cohere.embed:1",
        "started_at": BEGUN,
        "ended_at": ENDED,
        "output": answer,
    }
    helicone = {
        "request_id": "h",
        "request_body": json.dumps({"model": "text-embedding-3"}),
        "response_body": json.dumps(answer),
    }
    tracked = {"function_name": "voyage.embed", "request_response": answer, "request_start_time": BEGUN,
               "request_end_time": ENDED, "kwargs": {"model": "m"}}  # fmt: skip
    calls = [
        rest("/runs", run),
        rest("/calls/complete", {"batch": [weave]}),
        rest("/helicone", helicone),
        rest("/track-request", tracked),
    ]
    assert [(call.operation, call.input_tokens) for call in calls] == [("embedding", 9)] * 4


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "v", "gen_ai.usage.total_tokens": 9},
        {"llm.request.type": "embedding", "gen_ai.request.model": "v", "llm.usage.total_tokens": 9},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "v", "gen_ai.response.id": "i",
         "metadata.usage_object": TOTAL},
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "v", "llm.token_count.total": 9},
        {"openinference.span.kind": "EMBEDDING", "embedding.embeddings.0.embedding.text": "a",
         "output.value": json.dumps({"embedding": "<8-dimensional vector>", "meta": {"usage": json.loads(TOTAL)}})},
        {"langfuse.observation.type": "embedding", "langfuse.observation.usage_details": TOTAL},
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "text-embedding-3-small",
         "langfuse.observation.usage_details": TOTAL},
        {"mlflow.spanType": '"EMBEDDING"', "mlflow.chat.tokenUsage": TOTAL},
        {"mlflow.spanType": '"EMBEDDING"', "mlflow.spanOutputs": json.dumps(COHERE)},
        {"langsmith.span.kind": "embedding", "gen_ai.operation.name": "embeddings", "gen_ai.request.model": "v",
         "gen_ai.response.id": "i", "langsmith.metadata.usage_metadata": TOTAL},
    ],
)  # fmt: skip
def test_embeddings_by_spans(attributes: Attributes) -> None:
    (call,) = decode(export(("a", [span(1, attributes)]))).calls
    assert (call.operation, call.input_tokens, call.output_tokens) == ("embedding", 9, None)


def test_an_answer_of_a_chat_has_billed_units_in_its_usage() -> None:
    usage = {"billed_units": {"input_tokens": 7, "output_tokens": 12}, "tokens": {"input_tokens": 73}}
    run = {"id": "r", "start_time": BEGUN, "end_time": ENDED, "run_type": "llm", "outputs": {"usage": usage}}
    call = rest("/runs", run)
    assert (call.input_tokens, call.output_tokens) == (7, 12)
    attributes = {"openinference.span.kind": "LLM", "llm.model_name": "command-r", "llm.finish_reason": "stop",
                  "output.value": json.dumps({"usage": usage})}  # fmt: skip
    (call,) = decode(export(("a", [span(1, attributes)]))).calls
    assert (call.input_tokens, call.output_tokens) == (7, 12)


def test_litellms_embeddings_and_ranks() -> None:
    for told in (
        {"call_type": "aembedding", "total_tokens": 9},
        {"call_type": "embedding", "metadata": {"usage_object": {"total_tokens": 9}}},
        {"call_type": "arerank", "response": {"meta": {"billed_units": {"total_tokens": 9}}}},
        {"call_type": "rerank", "response": {"meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9}}}},
    ):  # fmt: skip
        call = litellm(**told)
        assert (call.input_tokens, call.output_tokens or None, call.cost_usd) == (9, None, 0.25)
    assert litellm(call_type="completion", total_tokens=9).input_tokens is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"llm.request.type": "completion", "gen_ai.request.model": "Cohere-Embed-v3", "gen_ai.usage.input_tokens": 9},
        {"openinference.span.kind": "LLM", "llm.model_name": "Cohere-Embed-v3", "llm.token_count.prompt": 9},
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "Cohere-Embed-v3",
         "langfuse.observation.usage_details": TOTAL},
    ],
)  # fmt: skip
def test_a_model_of_embeddings_is_known_by_its_name_in_any_case(attributes: Attributes) -> None:
    (call,) = decode(export(("a", [span(1, attributes)]))).calls
    assert (call.operation, call.input_tokens) == ("embedding", 9)


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "amazon.nova-lite-v1:0",
         "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 7},
        {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 0,
         "llm.token_count.completion": 7},
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m",
         "langfuse.observation.usage_details": json.dumps({"input": 0, "output": 7})},
        {"mlflow.spanType": '"LLM"', "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 0, "output_tokens": 7})},
    ],
)  # fmt: skip
def test_an_answer_to_no_input_has_an_unknown_input(attributes: Attributes) -> None:
    (call,) = decode(export(("a", [span(1, attributes)]))).calls
    assert (call.input_tokens, call.output_tokens) == (None, 7)
    assert Prices().price(call) is None
