"""Any bytes are calls or a BadCall."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmvitals.errors import BadCall, Code
from llmvitals.ingest import FORMATS, decode, otlp_protobuf
from llmvitals.price import Prices, Reason
from llmvitals.record.call import Call, ended
from spans import CHAT, Attributes, export, span

DATA = Path(__file__).parents[1] / "data" / "ingest"
NATIVE = {"id": "a", "ts": 1_700_000_000_000, "model": "gpt-4o-mini"}
CANARY = "sk-canary-1234"


def recorded(name: str) -> bytes:
    return (DATA / name).read_bytes()


def native(**fields: object) -> bytes:
    return json.dumps(NATIVE | fields).encode()


def only(value: bytes) -> Call:
    decoded = decode(value)
    assert len(decoded.calls) == 1
    return decoded.calls[0]


def refused(value: bytes, *, format: str | None = None) -> BadCall:  # noqa: A002
    with pytest.raises(BadCall) as error:
        decode(value, format=format)
    assert len(error.value.message) <= 256
    return error.value


def says(call: Call, **fields: object) -> None:
    assert {name: getattr(call, name) for name in fields} == fields


# Native


def test_a_native_call() -> None:
    decoded = decode(native(input_tokens=3, tags={"ü": "é"}, unheard_of=[1, {"x": None}]))
    assert decoded.filtered == 0
    says(decoded.calls[0], id="a", input_tokens=3, output_tokens=None, tags={"ü": "é"})


def test_an_array_of_native_calls() -> None:
    both = b"[" + native(id="1") + b",\n" + native(id="2", team="search") + b"]"
    assert [call.id for call in decode(both).calls] == ["1", "2"]
    assert decode(both, format="native").calls[1].team == "search"
    assert decode(b"[]").calls == []


def test_the_header_of_confluents_serializers_is_no_part_of_the_event() -> None:
    header = b"\0" + (10_001).to_bytes(4, "big")
    assert only(header + native()).id == "a"
    assert [call.id for call in decode(header + b"[" + native() + b"]").calls] == ["a"]
    for value in (header, header[1:] + native(), header + b" " + native(), header * 2 + native()):
        assert refused(value).code in (Code.NOT_JSON, Code.NOT_UTF8)


def test_white_space_around_is_not_protobuf() -> None:
    for value in (b"\n" + native(), b" \r\n\t" + native() + b"\n", b"\n[" + native() + b"]"):
        assert only(value).id == "a"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input_tokens": -1}, "input_tokens: Expected `int` >= 0"),
        ({"input_tokens": "1"}, "input_tokens: Expected `int | null`, got `str`"),
        ({"operation": CANARY}, "operation: is not one of the allowed values"),
        (
            {"guardrails": [{"name": CANARY, "verdict": CANARY}]},
            "guardrails[0].verdict: is not one of the allowed values",
        ),
        ({"tags": {CANARY: 1}}, "tags[...]: Expected `str`, got `int`"),
        ({"ts": f"{CANARY}"}, "ts: Invalid RFC3339"),
        ({"ts": "2026-11-24T06:56:10"}, "ts: "),
        ({"embedding": {"model": "m", "vector": CANARY}}, "embedding: "),
        ({"id": ""}, "id: Expected `str` of length >= 1"),
        ({"latency_ms": 1e9}, "latency_ms: Expected `float` <= 86400000.0"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_told(fields: dict[str, object], says: str) -> None:
    error = refused(native(**fields))
    assert error.code == Code.INVALID
    assert says in error.message
    assert "llmvitals schema call" in error.message
    assert CANARY not in str(error)


@pytest.mark.parametrize("missing", NATIVE)
def test_a_missing_field_is_named(missing: str) -> None:
    error = refused(json.dumps({name: value for name, value in NATIVE.items() if name != missing}).encode())
    assert (error.code, f"`{missing}`" in error.message) == (Code.INVALID, True)


def test_the_place_in_an_array_is_named() -> None:
    decoded = decode(b"[" + native() + b"," + native(input_tokens=-1) + b"," + native(id="b") + b"]")
    (error,) = decoded.refused
    assert (error.item, error.message.startswith("[1] input_tokens: ")) == (1, True)
    assert [call.id for call in decoded.calls] == ["a", "b"]


@pytest.mark.parametrize("body", [{"schema_version": 2}, {"schema_version": 3, "id": 7, "operation": "sing"}])
def test_a_newer_version_is_told_as_such(body: dict[str, object]) -> None:
    assert refused(native(**body)).code == Code.UNKNOWN_VERSION


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", Code.NOT_JSON),
        (b"hello", Code.NOT_JSON),
        (b"null", Code.UNKNOWN_FORMAT),
        (b"42", Code.UNKNOWN_FORMAT),
        (b'"text"', Code.UNKNOWN_FORMAT),
        (b"{}", Code.UNKNOWN_FORMAT),
        (b"[1]", Code.UNKNOWN_FORMAT),
        (b"[[]]", Code.UNKNOWN_FORMAT),
        (b'{"hello":"world"}', Code.UNKNOWN_FORMAT),
        (native()[:-1], Code.NOT_JSON),
        (native() + b"x", Code.NOT_JSON),
        (native() * 2, Code.NOT_JSON),
        (native(cost_usd=float("nan")), Code.NOT_JSON),
        (native(other=float("inf")), Code.NOT_JSON),
        (native().replace(b"1700000000000", b"1e999"), Code.INVALID),
        (native(input_tokens=2**70), Code.INVALID),
        (native(model="\ud800"), Code.NOT_JSON),
        (native(other="x").replace(b'"x"', b'"\xff"'), Code.NOT_UTF8),
        (native(model="x").replace(b'"x"', b'"\xff"'), Code.NOT_UTF8),
        (native().decode().encode("utf-16"), Code.NOT_UTF8),
        (b"\xff\xfe", Code.NOT_UTF8),
        (b"\xef\xbb\xbf" + native(), Code.NOT_JSON),
        (b"\nhello", Code.UNKNOWN_FORMAT),
    ],
)
def test_poison_is_refused_with_its_code(value: bytes, code: Code) -> None:
    assert refused(value).code == code


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        native(x=0).replace(b"0}", b"[" * 100_000 + b"]" * 100_000 + b"}"),
        native(tags=0).replace(b"0}", b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"),
        b'{"litellm_call_id":"a","call_type":"x","endTime":1,"metadata":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}",
        b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\n" * 100_000,
    ],
)
@pytest.mark.parametrize("form", [None, *FORMATS])
def test_depth_is_survived(value: bytes, form: str | None) -> None:
    refused(value, format=form)
    assert only(native()).id == "a"


def test_ten_megabytes_are_survived() -> None:
    big = "x" * 10_000_000
    assert only(native(unheard_of=big)).id == "a"
    assert refused(native(model=big)).code == Code.INVALID
    assert refused(b"x" * 10_000_000).code == Code.NOT_JSON
    refused(b"[" + b"0," * 5_000_000 + b"0]")
    refused(b"\n" + bytes(10_000_000))


# LiteLLM


def test_what_only_begins_like_litellm_is_what_its_names_say() -> None:
    inside = json.dumps({"extra": {"litellm_call_id": "x", "call_type": "y"}} | NATIVE).encode()
    assert only(inside) == only(native())
    error = refused(b'{"litellm_call_id":"x","call_type":"completion","endTime":null}')
    assert error.message.startswith("endTime: is not a number of seconds")
    assert refused(b'{"litellm_call_id":"x"}').code == Code.UNKNOWN_FORMAT


def test_litellm_success() -> None:
    call = only(recorded("litellm_payload.json"))
    says(
        call,
        id="5c0eda29-5332-40dd-897a-3c9280da8db5",
        operation="chat",
        model="gpt-4o-mini",
        requested_model="gpt-4o-mini",
        provider="openai",
        session="sess-9",
        team="search",
        user=None,
        key=None,
        input_tokens=1200,
        cached_tokens=1024,
        output_tokens=85,
        reasoning_tokens=64,
        cost_usd=0.00015419999999999998,
        latency_ms=659.729,
        ttft_ms=None,
        service_tier="default",
        status="ok",
        error_type=None,
        finish_reason="stop",
        tags=None,
    )
    assert ended(call) == 1_795_503_370_255_853
    # LiteLLM and we agree about what it costs.
    assert Prices().listed(call)[0] == 154_200


def test_litellm_stream() -> None:
    call = only(recorded("litellm_payload_stream.json"))
    says(call, stream=True, latency_ms=735.722, ttft_ms=713.651, session="sess-10", cache_hit=False)


def test_litellm_failure_has_no_usage_and_no_cost() -> None:
    call = only(recorded("litellm_payload_failure.json"))
    says(
        call,
        status="error",
        error_type="RateLimitError",
        input_tokens=None,
        output_tokens=None,
        cost_usd=None,
        model="rate-limited",
    )
    assert Prices().assess(call)[:2] == (None, Reason.UNKNOWN_USAGE)


def test_attempts_of_one_request_at_litellm_are_calls_of_their_own() -> None:
    """LiteLLM writes one litellm_call_id for an attempt that failed and for the fallback that answered."""
    failed = json.loads(recorded("litellm_payload_failure.json"))
    again, answered = failed | {"endTime": failed["endTime"] + 1}, failed | {"status": "success"}
    first, second, last, resent = (
        only(json.dumps(one).encode()).id for one in (failed, again, answered, failed)
    )
    assert (first, last) == (f"{failed['litellm_call_id']}-1795503371252606", failed["litellm_call_id"])
    assert (len({first, second, last}), resent) == (3, first)


def test_litellm_embedding() -> None:
    call = only(recorded("litellm_payload_embedding.json"))
    says(call, operation="embedding", model="text-embedding-3-small", input_tokens=7, cost_usd=1.4e-07)
    assert call.id != json.loads(recorded("litellm_payload.json"))["id"]


def litellm(**changes: Any) -> Call:
    payload = json.loads(recorded("litellm_payload.json"))
    metadata = payload["metadata"] | changes.pop("metadata", {})
    return only(json.dumps(payload | {"metadata": metadata} | changes).encode())


@pytest.mark.parametrize(
    ("response", "usage", "tier"),
    [
        ("flex", None, "flex"),
        ("priority", "standard", "priority"),
        (None, "batch", "batch"),  # Anthropic tells it with the usage
        (None, "standard", "standard"),
        ("scale", None, "other"),
        ("auto", None, None),
        (None, None, None),
        ({"x": 1}, ["flex"], None),
    ],
)
def test_litellms_service_tier_is_that_of_the_answer(response: object, usage: object, tier: str) -> None:
    recording = json.loads(recorded("litellm_payload.json"))
    answer = recording["response"] | {"service_tier": response}
    used = recording["metadata"]["usage_object"] | {"service_tier": usage}
    asked = recording["model_parameters"] | {"service_tier": "priority"}
    call = litellm(response=answer, metadata={"usage_object": used}, model_parameters=asked)
    assert call.service_tier == tier


def test_litellms_absent_values_are_the_string_none() -> None:
    call = litellm(end_user="None", session_id="None", trace_id="None", custom_llm_provider="None")
    says(call, user=None, session=None, trace_id=None, provider=None)


def test_litellm_says_who() -> None:
    call = litellm(
        end_user="u-1",
        session_id="s-1",
        request_tags=["team:other", "tier: gold", "plain", "User-Agent: x", 7, "environment:prod"],
        metadata={
            "user_api_key_user_id": "someone",
            "user_api_key_team_alias": "payments",
            "user_api_key_alias": "ci",
            "user_api_key_hash": "88dc",
            "prompt_management_metadata": {"prompt_id": "greet", "prompt_version": 3},
        },
    )
    says(
        call, user="u-1", session="s-1", team="payments", key="ci", environment="prod", tags={"tier": "gold"}
    )
    says(call, prompt_name="greet", prompt_version="3")


@pytest.mark.parametrize(
    ("changes", "cost"),
    [
        ({"response_cost": 0.0}, 0.0),
        ({"response_cost": 0.0, "response_cost_failure_debug_info": {"error_str": "no price"}}, None),
        ({"response_cost": None}, None),
        ({"response_cost": "0.5"}, 0.5),
        (  # speech, which costs by its characters
            {
                "response_cost": 0.5,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "metadata": {"usage_object": {}},
            },
            0.5,
        ),
        ({"response_cost": -1}, None),
        ({"response_cost": 1e300}, None),
        (
            {
                "response_cost": 0.0,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "metadata": {"usage_object": None},
            },
            None,
        ),
    ],
)
def test_when_litellms_cost_counts(changes: dict[str, Any], cost: float | None) -> None:
    assert litellm(**changes).cost_usd == cost


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("completion", "chat"),
        ("acompletion", "chat"),
        ("atext_completion", "completion"),
        ("aimage_generation", "image"),
        ("transcription", "audio"),
        ("arerank", "rerank"),
        ("anthropic_messages", "chat"),
        (None, "chat"),
    ],
)
def test_litellms_call_types(kind: str | None, operation: str) -> None:
    assert litellm(call_type=kind).operation == operation


@pytest.mark.parametrize(
    "kind", ["acreate_file", "afile_content", "alist_batches", "retrieve_batch", "aget_responses",
             "acreate_thread", "a_add_message", "vector_store_create", "alist_input_items", "avideo_content"],
)  # fmt: skip
def test_litellms_work_on_files_and_stored_answers_is_no_call(kind: str) -> None:
    told = {"prompt_tokens": 0, "completion_tokens": 0, "response_cost": 0.0, "call_type": kind}
    payload = json.loads(recorded("litellm_payload.json"))
    payload["metadata"]["usage_object"] = None
    decoded = decode(json.dumps(payload | told).encode())
    assert (decoded.calls, decoded.filtered) == ([], 1)


@pytest.mark.parametrize("kind", ["acreate_video", "arun_thread", "aretrieve_batch", "aresponses"])
def test_litellms_calls_by_other_names_count(kind: str) -> None:
    assert litellm(call_type=kind).input_tokens == 1_200


def test_what_a_guardrail_stopped_is_a_block_and_no_error() -> None:
    flagged = {
        "guardrail_name": "lakera",
        "guardrail_status": "success",
        "guardrail_response": {"flagged": True},
    }
    fine = {"guardrail_name": "pii", "guardrail_status": "success", "guardrail_response": {}}
    call = litellm(status="failure", guardrail_information=[fine, flagged])
    assert call.status == "ok"
    assert [(one.name, one.verdict) for one in call.guardrails] == [("pii", "pass"), ("lakera", "block")]


def test_cache_writes_and_tools_of_litellm() -> None:
    usage = {
        "prompt_tokens_details": {
            "cached_tokens": None,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 40},
        },
        "cache_read_input_tokens": 80,
        "cache_creation_input_tokens": 100,
    }
    answer = {"message": {"tool_calls": [{"function": {"name": "lookup", "arguments": CANARY}}, None]}}
    call = litellm(metadata={"usage_object": usage}, response={"choices": [answer]})
    says(call, cached_tokens=80, cache_write_tokens=100, cache_write_1h_tokens=40, model="gpt-4o-mini")
    assert [tool.name for tool in call.tools] == ["lookup"]
    assert CANARY not in msgspec.json.encode(call).decode()
    call = litellm(response={"output": [{"type": "function_call", "name": "lookup", "arguments": CANARY}]})
    assert [tool.name for tool in call.tools] == ["lookup"]


def test_litellm_without_an_end_is_refused() -> None:
    payload = json.loads(recorded("litellm_payload.json"))
    for end in (None, "soon", 1e300):
        error = refused(json.dumps(payload | {"endTime": end}).encode())
        assert error.code == Code.INVALID
        assert "endTime" in error.message


def test_what_is_out_of_bounds_in_litellm_is_unknown() -> None:
    usage = {"usage_object": {"prompt_tokens": -5, "completion_tokens": 2.5}}
    call = litellm(
        prompt_tokens=-5, completion_tokens=2.5, startTime=0, model_group="x" * 500, metadata=usage
    )
    says(call, input_tokens=None, output_tokens=None, latency_ms=None, requested_model="x" * 128)


# OTLP


@pytest.mark.parametrize("name", ["otlp_genai_latest", "otlp_v2"])
def test_both_encodings_of_otlp_say_the_same(name: str) -> None:
    assert decode(recorded(f"{name}.pb")) == decode(recorded(f"{name}.json"))


def test_the_newest_genai_names() -> None:
    decoded = decode(recorded("otlp_genai_latest.pb"))
    assert decoded.filtered == 0
    chat, stream, cut, failed, embedding, responses = decoded.calls
    says(
        chat,
        id="b29bb3daa5d66994f8dd0c6820fed8e0-3969c1096be674fb",
        trace_id="b29bb3daa5d66994f8dd0c6820fed8e0",
        span_id="3969c1096be674fb",
        parent_id=None,
        operation="chat",
        provider="openai",
        model="gpt-4o-mini-2024-07-18",
        requested_model="gpt-4o-mini",
        app="checkout-bot",
        environment="test",
        input_tokens=1200,
        cached_tokens=1024,
        output_tokens=85,
        reasoning_tokens=64,
        latency_ms=165.093,
        finish_reason="stop",
        service_tier="default",
        status="ok",
        cost_usd=None,
    )
    assert ended(chat) == 1_795_503_015_942_194
    assert Prices().assess(chat)[:2] == (154_200, Reason.PRICED)
    says(stream, stream=True, ttft_ms=pytest.approx(127.239, abs=1e-3), input_tokens=1200)
    says(cut, stream=True, input_tokens=None, output_tokens=None)
    says(failed, status="error", error_type="RateLimitError", model="rate-limited", input_tokens=None)
    says(embedding, operation="embedding", input_tokens=7, output_tokens=None)
    says(responses, model="gpt-5-mini", cached_tokens=10, reasoning_tokens=3)


def test_older_genai_names() -> None:
    calls = decode(recorded("otlp_v2.json")).calls
    assert [call.input_tokens for call in calls] == [1200, 1200, None, None, 7]
    assert [call.status for call in calls] == ["ok", "ok", "ok", "error", "ok"]
    assert {call.provider for call in calls} == {"openai"}


@pytest.mark.parametrize(
    ("attributes", "tier"),
    [
        ({"openai.response.service_tier": "flex"}, "flex"),
        ({"gen_ai.openai.response.service_tier": "priority"}, "priority"),
        ({"anthropic.response.service_tier": "standard"}, "standard"),
        ({"anthropic.response.service_tier": "batch"}, "batch"),
        ({"openai.response.service_tier": "Scale"}, "other"),
        ({"openai.request.service_tier": "flex", "openai.response.service_tier": "default"}, "default"),
        ({"openai.request.service_tier": "flex"}, None),
        ({"openai.response.service_tier": "auto"}, None),
    ],
)
def test_the_service_tier_of_a_span_is_that_of_the_answer(attributes: Attributes, tier: str | None) -> None:
    (call,) = decode(export(("a", [span(1, CHAT | attributes)]))).calls
    assert call.service_tier == tier


def test_anthropics_service_tier() -> None:
    calls = decode(recorded("anthropic_genai_official_and_native.json")).calls
    assert {call.service_tier for call in calls if call.provider == "anthropic"} >= {"standard"}


def test_spans_that_are_no_calls_are_counted_as_filtered() -> None:
    spans = [
        span(1, {"http.request.method": "GET"}),
        span(2, {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 10}),
        span(3, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"}),
        span(4, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}),
        span(5, CHAT),
    ]
    decoded = decode(export(("a", spans)))
    assert [(call.span_id, call.operation) for call in decoded.calls] == [
        (f"{3:016x}", "tool"),
        (f"{5:016x}", "chat"),
    ]
    assert decoded.filtered == 3


def test_the_oldest_genai_names() -> None:
    attributes: Attributes = {
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.prompt_tokens": "140",
        "gen_ai.usage.completion_tokens": 30,
        "gen_ai.usage.cache_read_input_tokens": 64,
        "llm.user": "u-7",
        "llm.is_streaming": True,
        "gen_ai.completion.0.finish_reason": "stop",
    }
    call = decode(export(("openllmetry", [span(1, attributes, events=[])]))).calls[0]
    says(
        call, input_tokens=140, cached_tokens=64, output_tokens=30, provider="openai", user="u-7", stream=True
    )
    says(call, finish_reason="stop", ttft_ms=None, latency_ms=1_000.0)


def test_the_first_chunk_gives_the_time_to_first_token() -> None:
    events = [
        {"name": "llm.content.completion.chunk", "timeUnixNano": "1795503015090000000"},
        {"name": "llm.content.completion.chunk", "timeUnixNano": "1795503015050000000"},
    ]
    assert decode(export(("a", [span(1, CHAT, events=events)]))).calls[0].ttft_ms == 50.0


def test_an_event_after_the_end_makes_the_latency_unknown() -> None:
    events = [{"name": "x", "timeUnixNano": "1795503016000000001"}]
    assert decode(export(("a", [span(1, CHAT, events=events)]))).calls[0].latency_ms is None


def test_an_exception_on_the_call_is_an_error_whatever_the_status() -> None:
    raised = {"key": "exception.type", "value": {"stringValue": "TimeoutError"}}
    events = [{"name": "exception", "timeUnixNano": "1795503015500000000", "attributes": [raised]}]
    bare: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    call = decode(export(("a", [span(1, bare, events=events)]))).calls[0]
    says(call, status="error", error_type="TimeoutError")
    call = decode(export(("a", [span(1, bare, status={"code": "STATUS_CODE_ERROR"})]))).calls[0]
    says(call, status="error", error_type=None)


def test_bedrock_leaves_the_cache_out_of_its_input() -> None:
    usage = CHAT | {
        "gen_ai.usage.cache_read.input_tokens": 80,
        "gen_ai.usage.cache_write.input_tokens": 20,
    }
    assert decode(export(("a", [span(1, usage)]))).calls[0].input_tokens == 10
    bedrock = usage | {"gen_ai.provider.name": "aws.bedrock"}
    says(
        decode(export(("a", [span(1, bedrock)]))).calls[0],
        input_tokens=110,
        cached_tokens=80,
        cache_write_tokens=20,
    )


def test_what_the_total_has_over_was_thought() -> None:
    call = decode(export(("a", [span(1, CHAT | {"gen_ai.usage.total_tokens": 20})]))).calls[0]
    says(call, input_tokens=10, output_tokens=10)


def test_scores_that_ride_on_the_span() -> None:
    result = [
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.9}},
    ]
    events = [
        {"name": "gen_ai.evaluation.result", "timeUnixNano": "1795503015500000000", "attributes": result}
    ]
    assert decode(export(("a", [span(1, CHAT, events=events)]))).calls[0].scores == {"relevance": 0.9}


def test_a_wrapper_counts_not_and_tells_who_asked() -> None:
    outer = CHAT | {"gen_ai.conversation.id": "s-1", "user.id": "u-1", "gen_ai.prompt.name": "greet"}
    spans = [
        span(1, outer),
        span(2, {"http.request.method": "POST"}, parent=1),
        span(3, CHAT | {"gen_ai.usage.input_tokens": 11}, parent=2),
        span(4, CHAT | {"gen_ai.usage.input_tokens": 12, "user.id": "u-2"}, parent=1),
    ]
    decoded = decode(export(("a", spans)))
    assert [(call.input_tokens, call.user, call.session) for call in decoded.calls] == [
        (11, "u-1", "s-1"),
        (12, "u-2", "s-1"),
    ]
    assert {call.prompt_name for call in decoded.calls} == {"greet"}
    assert decoded.filtered == 2


def test_one_answer_told_by_two_instrumentors_is_one_call() -> None:
    answer = CHAT | {"gen_ai.response.id": "chatcmpl-1"}
    more = answer | {"gen_ai.usage.cache_read.input_tokens": 4, "user.id": "u-1"}
    decoded = decode(export(("a", [span(1, answer, trace=1)]), ("b", [span(2, more, trace=2)])))
    assert len(decoded.calls) == 1
    says(decoded.calls[0], span_id=f"{1:016x}", cached_tokens=4, user="u-1", input_tokens=10)
    assert decoded.filtered == 1


def test_one_answer_at_another_time_or_from_the_same_instrumentor_is_another_call() -> None:
    answer = CHAT | {"gen_ai.response.id": "chatcmpl-1"}
    later = span(2, answer, startTimeUnixNano="1795503017000000000", endTimeUnixNano="1795503018000000000")
    assert len(decode(export(("a", [span(1, answer)]), ("b", [later]))).calls) == 2
    assert len(decode(export(("a", [span(1, answer), span(2, answer, trace=2)]))).calls) == 2


def test_spans_that_are_each_others_parents_are_survived() -> None:
    decoded = decode(
        export(("a", [span(1, CHAT, parent=2), span(2, CHAT, parent=1), span(3, CHAT, parent=3)]))
    )
    assert len(decoded.calls) + decoded.filtered == 3


@pytest.mark.parametrize(
    "change",
    [
        {"endTimeUnixNano": "soon"},
        {"endTimeUnixNano": "9" * 40},
        {"spanId": None},
        {"spanId": ""},
        {"traceId": 7},
        {"attributes": [{"key": "gen_ai.usage.input_tokens"}]},
        {"attributes": [{"key": 5}]},
        {"attributes": "gen_ai."},
        {"events": [{}]},
        {"status": "bad"},
    ],
)
def test_a_broken_span_is_refused(change: dict[str, Any]) -> None:
    assert refused(export(("a", [span(1, CHAT) | change]))).code == Code.INVALID


def test_what_is_out_of_bounds_in_a_span_is_unknown() -> None:
    wild = CHAT | {
        "gen_ai.usage.input_tokens": -4,
        "gen_ai.usage.output_tokens": "many",
        "user.id": "u" * 300,
    }
    call = decode(export(("a", [span(1, wild, startTimeUnixNano="0")]))).calls[0]
    says(call, input_tokens=None, output_tokens=None, user="u" * 128, latency_ms=None)


@pytest.mark.parametrize(
    "output", ['{"generations": ["x"]}', '{"generations": [["x"]]}', '{"generations": 1}', "[1]"]
)
def test_an_output_of_another_form_does_not_refuse_its_call(output: str) -> None:
    attributes: Attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 10,
        "output.value": output,
    }
    (call,) = decode(export(("openinference.instrumentation.langchain", [span(1, attributes)]))).calls
    says(call, input_tokens=10, response_id=None)


@pytest.mark.parametrize("place", ["{}", "metadata.{}", "langfuse.trace.metadata.{}"])
@pytest.mark.parametrize(
    ("dimension", "name"),
    [("tenant", "team"), ("app", "env"), ("user", "customer.id"), ("tags.shop", "customer")],
)
def test_an_attribute_that_the_user_maps_is_no_default_of_another_dimension(
    dimension: str, name: str, place: str
) -> None:
    record = export(("a", [span(1, CHAT | {place.format(name): "ours"})]))
    (call,) = decode(record, attributes=((dimension, (name,)), ("session", ("other",)))).calls
    found = {**(call.tags or {})} | {
        key: getattr(call, key) for key in ("tenant", "app", "user", "team", "environment")
    }
    assert {key: value for key, value in found.items() if value} == {dimension.removeprefix("tags."): "ours"}


def test_protobuf_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    otlp_protobuf._requests.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1", None)
    try:
        error = refused(recorded("otlp_v2.pb"))
    finally:
        otlp_protobuf._requests.cache_clear()
    assert (error.code, "llmvitals[otlp]" in error.message) == (Code.UNKNOWN_FORMAT, True)
    assert len(decode(recorded("otlp_v2.json")).calls) == 5


def test_protobuf_nested_too_deeply_is_refused() -> None:
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"1" * 16, span_id=b"2" * 8)
    value = one.attributes.add(key="gen_ai.request.model").value
    for _ in range(40):
        value = value.array_value.values.add()
    assert decode(request.SerializeToString()).filtered == 1
    inner = b""
    for _ in range(3_000):
        inner = b"\n" + _varint(len(inner)) + inner
    refused(inner)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


# Recognition and totality


@pytest.mark.parametrize(
    ("name", "form"), [("litellm_payload.json", "litellm"), ("otlp_v2.pb", "otlp"), ("otlp_v2.json", "otlp")]
)
def test_a_fixed_format_reads_the_same(name: str, form: str) -> None:
    assert decode(recorded(name), format=form) == decode(recorded(name))


def test_a_fixed_format_refuses_another() -> None:
    assert refused(recorded("litellm_payload.json"), format="native").code == Code.INVALID
    assert refused(native(), format="litellm").code == Code.INVALID
    assert refused(native(), format="otlp").code == Code.INVALID


def test_an_array_of_payloads() -> None:
    both = b"[" + recorded("litellm_payload.json") + b"," + recorded("litellm_payload_stream.json") + b"]"
    assert len(decode(both).calls) == 2


def total(value: bytes) -> None:
    for form in (None, *FORMATS):
        try:
            decoded = decode(value, format=form)
        except BadCall as error:
            assert isinstance(error.code, Code)  # noqa: PT017
            continue
        assert decoded.filtered >= 0
        for call in decoded.calls:
            assert msgspec.json.decode(msgspec.json.encode(call), type=Call) == call
            ended(call)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b"\n" + tail))
@settings(max_examples=300)
def test_any_bytes(value: bytes) -> None:
    total(value)


RECORDED = sorted(path.name for path in DATA.iterdir() if path.suffix in (".json", ".pb"))


@given(
    st.sampled_from(RECORDED), st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=4)), max_size=3)
)
@settings(max_examples=300)
def test_recordings_with_bytes_changed(name: str, changes: list[tuple[int, bytes]]) -> None:
    value = recorded(name)
    for at, new in changes:
        at %= len(value)  # noqa: PLW2901
        value = value[:at] + new + value[at + 1 :]
    total(value)


WORDS = st.sampled_from(["None", "", "a", "chat", "success", "9" * 30, "NaN", "x" * 300, "é", "-1", "1e999"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**30) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
PAYLOAD = {
    name: value
    for name, value in json.loads(recorded("litellm_payload.json")).items()
    if name != "model_map_information"
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


LATEST = json.loads(recorded("otlp_genai_latest.json"))


@given(st.sampled_from([(PAYLOAD, path) for path in places(PAYLOAD)]), VALUES)
@settings(max_examples=400)
def test_litellm_with_any_value_anywhere(place: tuple[Any, tuple[Any, ...]], new: Any) -> None:
    total(json.dumps(replaced(*place, new)).encode())


def test_an_attribute_without_a_value_is_absent() -> None:
    path = ("resourceSpans", 0, "resource", "attributes", 6, "value")
    calls = decode(json.dumps(replaced(LATEST, path, {})).encode()).calls
    assert {(call.app, call.environment) for call in calls} == {("checkout-bot", None)}


@given(st.sampled_from([(LATEST, path) for path in places(LATEST)]), VALUES)
@settings(max_examples=400)
def test_otlp_with_any_value_anywhere(place: tuple[Any, tuple[Any, ...]], new: Any) -> None:
    total(json.dumps(replaced(*place, new)).encode())
