"""What frameworks and SDKs send of calls of which a local server knows what it answered.

Each recording reads alike as one record and as one span a record, in any order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmvitals.backtest.replay import replay_lines
from llmvitals.ingest import decode
from llmvitals.settings import Settings

DATA = Path(__file__).parents[1] / "data" / "ingest" / "frameworks"
Served = tuple[int, int, int, int]
"""Calls of models that were answered, those that failed, tokens in, tokens out."""

SERVED: dict[str, tuple[Served, dict[str, int], str]] = {
    "adk_own_sub": ((3, 0, 23_979, 3_057), {"tool": 2}, "an agent runs inside of the request that asked for it"),
    "af_own_ChatClient_tool": ((2, 0, 16_119, 2_057), {"tool": 1}, "a request before the tool and one after it"),
    "agents_oi2_chat_tool": ((2, 0, 5_003, 469), {"tool": 1}, "the SDK's span has an id, the agents' none"),
    "agno_oi2_error": ((0, 1, 0, 0), {}, "a failure has no id at all"),
    "agno_oi_claude": ((1, 0, 5_970, 730), {}, "Agno leaves the cache out, Anthropic's SDK does not"),
    "autogen_oi_tool": ((2, 0, 15_671, 1_993), {"tool": 1}, "the tool has two spans"),
    "azureinf_own_stream": ((1, 0, 6_530, 810), {}, "a stream"),
    "crewai_oi2_tool": ((2, 0, 11_653, 1_419), {"tool": 1}, "CrewAI and the SDK"),
    "haystack_oi2_rag": ((1, 0, 6_607, 821), {"retrieval": 1, "embedding": 1}, "each step has two spans"),
    "instructor_oi2_retry": ((2, 0, 15_881, 2_023), {}, "Instructor asks again after a wrong answer"),
    "lc_off_anthropic_error": ((0, 1, 0, 0), {}, "Anthropic's SDK has spans of its own"),
    "lc_off_anthropic_stream": ((1, 0, 3_856, 428), {}, "LangChain's stream has no id"),
    "lc_oi_cut": ((1, 0, 0, 0), {}, "the application closed the stream: no failure, and nothing was counted"),
    "llama_oi2_plain": ((2, 0, 13_557, 1_691), {}, "a chat and a completion"),
    "mlf3_lc": ((1, 0, 8_266, 1_058), {}, "MLflow 3: LangChain's span has no id, and one scope stands for both"),
    "off_anthropic_bedrock": ((1, 0, 1_749, 127), {}, "Anthropic's SDK has Bedrock's cache in its input"),
    "off_anthropic_errors": ((0, 4, 0, 0), {}, "each failure has two spans"),
    "off_bedrock_cut": ((1, 0, 0, 0), {}, "of a stream that was closed nothing but the request is known"),
    "off_openai_cut_responses": ((1, 0, 0, 0), {}, "nor here, but that it began"),
    "oi_openai_audio": ((2, 0, 2_205, 3_094), {}, "a transcription and an image have tokens"),
    "oi_openai_other": ((4, 0, 1_235, 1_067), {}, "a completion, an image, a moderation, a speech"),
    "pyd_def_bedrock_tool": ((2, 0, 9_469, 1_107), {"tool": 1}, "Pydantic AI has Bedrock's cache in its input"),
    "pyd_logfire_chat_stream": ((1, 0, 5_662, 686), {}, "Pydantic AI's span is around Logfire's log"),
    "sk_oi2_plain": ((1, 0, 6_481, 803), {}, "Semantic Kernel and the SDK"),
    "strands_def_bedrock": ((2, 0, 12_661, 1_563), {"tool": 1}, "the cache is only in the total"),
}  # fmt: skip


def spans(record: bytes) -> Iterator[bytes]:
    """Each span as a record, in the order in which they ended."""
    found = [
        (span.end_time_unix_nano, group, scoped, span)
        for group in ExportTraceServiceRequest.FromString(record).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]
    for _, group, scoped, span in sorted(found, key=lambda one: one[0]):
        export = ExportTraceServiceRequest()
        own = export.resource_spans.add(resource=group.resource).scope_spans.add(scope=scoped.scope)
        own.spans.append(span)
        yield export.SerializeToString()


def forms(record: bytes) -> Iterator[list[bytes]]:
    yield [record]
    apart = [*spans(record)]
    yield from (apart, apart[::-1])
    for seed in range(4):
        yield random.Random(seed).sample(apart, len(apart))


@pytest.mark.parametrize("name", SERVED)
def test_what_was_served_counts_once_in_each_form(name: str) -> None:
    served, others, trap = SERVED[name]
    for records in forms((DATA / f"{name}.pb").read_bytes()):
        kinds = replay_lines(records, Settings())["kinds"]
        llm = kinds["llm"]
        assert (llm["ok"], llm["error"], llm["input_tokens"], llm["output_tokens"]) == served, trap
        assert {kind: kinds[kind]["ok"] for kind in others} == others, trap


def test_logfires_stream_in_pydantic_ai_counts_once_in_a_record() -> None:
    """In records of their own, its log and the span of Anthropic's SDK have nothing in common."""
    (call,) = decode((DATA / "pyd_logfire_claude_plain.pb").read_bytes()).calls
    assert (call.input_tokens, call.output_tokens, call.cached_tokens) == (5_697, 691, 512)


def test_a_stream_that_the_application_closed_is_no_failure() -> None:
    (call,) = decode((DATA / "lc_oi_cut.pb").read_bytes()).calls
    assert (call.status, call.error_type, call.finish_reason) == ("ok", None, "cancelled")


def test_what_openai_was_asked_for_beside_chats() -> None:
    names = ("oi_openai_other", "oi_openai_audio")
    calls = [call for name in names for call in decode((DATA / f"{name}.pb").read_bytes()).calls]
    assert sorted((call.operation, call.model) for call in calls) == [
        ("audio", "gpt-4o-mini-tts"),
        ("audio", "gpt-4o-transcribe"),
        ("chat", "gpt-3.5-turbo-instruct"),
        ("image", "gpt-image-1"),
        ("image", "gpt-image-1"),
        ("moderation", "omni-moderation-latest"),
    ]
