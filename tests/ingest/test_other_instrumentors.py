"""Instrumentors with words of their own: OpenLIT, AgentOps, Google's ADK, early OpenLLMetry and LiteLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.call import Call
from spans import CHAT, Attributes, export, span

DATA = Path(__file__).parents[1] / "data" / "ingest"
OPENLIT: Attributes = CHAT | {
    "gen_ai.system": "litellm",
    "gen_ai.request.model": "openai/gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.request.is_stream": False,
    "gen_ai.server.time_to_first_token": 0.13,
    "gen_ai.response.service_tier": "fp_1",
    "gen_ai.response.system_fingerprint": "fp_1",
}


def only(scope: str, attributes: Attributes, **more: Any) -> Call:
    (call,) = decode(export((scope, [span(1, attributes, **more)]))).calls
    return call


def test_openlit_names_the_gateway_as_the_provider_and_the_fingerprint_as_the_tier() -> None:
    call = only("openlit.otel.tracing", OPENLIT)
    assert (call.provider, call.model, call.service_tier) == ("openai", "gpt-4o-mini-2024-07-18", None)
    assert Prices().price(call) is not None


def test_an_answer_in_one_piece_has_no_first_token() -> None:
    assert only("openlit.otel.tracing", OPENLIT).ttft_ms is None
    assert only("openlit.otel.tracing", OPENLIT | {"gen_ai.request.is_stream": True}).ttft_ms == 130


@pytest.mark.parametrize("operation", ["image", "audio"])
def test_openlits_images_and_audio_count(operation: str) -> None:
    asked = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": "m",
        "gen_ai.prompt": "cat",
        "gen_ai.response.id": "1795503015",
    }
    call = only("openlit.otel.tracing", asked)
    assert call.operation == operation
    assert operation == "audio" or call.response_id is None  # images of one second are not one image


def test_agentops_failures_count_and_its_streams_have_a_first_token() -> None:
    asked: Attributes = {"gen_ai.request.type": "chat", "gen_ai.request.model": "gpt-4o"}
    failed = only("openai", asked, status={"code": 2})
    assert (failed.status, failed.model) == ("error", "gpt-4o")
    streamed = asked | {
        "gen_ai.request.streaming": True,
        "gen_ai.streaming.time_to_first_token": 0.05,
        "gen_ai.usage.prompt_tokens": 5,
    }
    call = only("openai", streamed)
    assert (call.stream, call.ttft_ms) == (True, 50)


def test_early_openllmetry_writes_who_made_a_model_of_bedrock_as_its_provider() -> None:
    told = CHAT | {"gen_ai.system": "meta", "gen_ai.request.model": "llama3-8b-instruct-v1:0"}
    call = only("opentelemetry.instrumentation.bedrock", told)
    assert call.provider == "aws.bedrock"
    assert Prices().price(call) is not None


def test_googles_agent_development_kit_has_thoughts_and_cache_only_in_the_answer() -> None:
    answer = {
        "usage_metadata": {
            "cached_content_token_count": 64,
            "candidates_token_count": 21,
            "prompt_token_count": 174,
            "thoughts_token_count": 8,
            "total_token_count": 203,
        }
    }
    told = {
        "gen_ai.system": "gcp.vertex.agent",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.usage.input_tokens": 174,
        "gen_ai.usage.output_tokens": 21,
        "gcp.vertex.agent.session_id": "s-1",
        "gcp.vertex.agent.llm_response": json.dumps(answer),
    }
    call = only("gcp.vertex.agent", told)
    assert (call.output_tokens, call.cached_tokens, call.reasoning_tokens) == (29, 64, 8)
    assert (call.provider, call.session) == (None, "s-1")


def test_a_cycle_of_a_strands_agent_is_no_call_that_nothing_reads() -> None:
    cycle = {"event_loop.cycle_id": "1", "gen_ai.event.start_time": "2026-11-28T10:51:17+00:00"}
    decoded = decode(export(("strands.telemetry.tracer", [span(1, cycle)])))
    assert (decoded.calls, decoded.unread) == ([], {})


def test_litellms_payloads_before_they_had_an_id_of_the_call() -> None:
    """LiteLLM 1.60 to 1.73: the id is that of the answer; of all attempts that fail it is one."""
    payload = json.loads((DATA / "litellm_payload.json").read_bytes())
    del payload["litellm_call_id"]
    (call,) = decode(json.dumps(payload).encode()).calls
    assert (call.id, call.instrumentor) == (payload["id"], "litellm.logging")
    failed = json.loads((DATA / "litellm_payload_failure.json").read_bytes())
    del failed["litellm_call_id"]
    later = failed | {"endTime": failed["endTime"] + 1}
    first, second = decode(json.dumps([failed, later]).encode()).calls
    assert first.id != second.id
    assert first.status == "error"
