"""What clients send, what goes to Kafka, and what they are told."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gateways import Client, listening
from llmvitals.gateway.answer import Refusal
from llmvitals.ingest import decode
from llmvitals.settings import Settings

DATA = Path(__file__).parents[1] / "data"
TRACES = (DATA / "ingest" / "otlp_genai_latest.pb").read_bytes()
LOGS = (DATA / "interop" / "otel_evaluation_result_events.logs.pb").read_bytes()
PROMPTLAYER = json.loads((DATA / "interop" / "promptlayer_log_request_error.rest.json").read_bytes())[0]
PAYLOADS = (DATA / "ingest" / "litellm_proxy_generic_api.json").read_bytes()
PROTOBUF = "application/x-protobuf"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with listening() as made:
        yield made


def call(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": f"c{number}", "ts": 1_764_000_000_000 + number, "model": "gpt-5", **more}


def bad_span() -> bytes:
    """An export with two spans, of which one can't be read: it has no ids."""
    export = ExportTraceServiceRequest.FromString(TRACES)
    spans = export.resource_spans[0].scope_spans[0].spans
    spans.add().CopyFrom(next(span for span in spans if any("gen_ai" in a.key for a in span.attributes)))
    spans[-1].span_id, spans[-1].trace_id = b"", b""
    spans[-1].attributes.add(key="gen_ai.response.id").value.string_value = "another"
    return export.SerializeToString()


# OTLP


@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces", "/otel/v1/traces/"])
async def test_an_export_goes_to_kafka_as_it_is(client: Client, path: str) -> None:
    answer = await client.post(path, TRACES, PROTOBUF)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", PROTOBUF)
    assert client.values == [TRACES]


async def test_a_compressed_export_is_unpacked(client: Client) -> None:
    for encoding, packed in (("gzip", gzip.compress(TRACES)), ("deflate", zlib.compress(TRACES))):
        answer = await client.post("/v1/traces", packed, PROTOBUF, Content_Encoding=encoding)
        assert answer.status == 200
    assert client.values == [TRACES, TRACES]


async def test_json_is_answered_in_json(client: Client) -> None:
    body = (DATA / "ingest" / "otlp_genai_latest.json").read_bytes()
    answer = await client.post("/v1/traces", body)
    assert (answer.status, answer.json) == (200, {})
    assert client.values == [body]


async def test_an_export_of_nothing_is_a_success(client: Client) -> None:
    answer = await client.post("/v1/traces", b"", PROTOBUF)
    assert (answer.status, answer.body, client.values) == (200, b"", [])


async def test_a_span_that_cannot_be_read_is_a_partial_success(client: Client) -> None:
    body = bad_span()
    answer = await client.post("/v1/traces", body, PROTOBUF)
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, told.rejected_spans) == (200, 1)
    assert "`id`" in told.error_message
    assert client.values == [body]


async def test_a_partial_success_in_json_has_its_number_as_a_text(client: Client) -> None:
    body = json.loads((DATA / "ingest" / "otlp_genai_latest.json").read_bytes())
    spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append(spans[0] | {"spanId": "00000000000000aa", "endTimeUnixNano": "never"})
    answer = await client.post("/v1/traces", body)
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    assert "structure of OTLP" in answer.json["partialSuccess"]["errorMessage"]


async def test_logs_have_their_own_path_and_answer(client: Client) -> None:
    answer = await client.post("/v1/logs", LOGS, PROTOBUF)
    assert (answer.status, ExportLogsServiceResponse.FromString(answer.body).partial_success.rejected_log_records) == (
        200, 0,
    )  # fmt: skip
    assert client.values == [LOGS]


async def test_what_is_no_otlp_is_refused_with_a_status_in_the_same_encoding(client: Client) -> None:
    answer = await client.post("/v1/traces", b"\x0a\xff\xff nonsense", PROTOBUF)
    assert (answer.status, answer.headers["Content-Type"]) == (400, PROTOBUF)
    assert answer.body[:2] == b"\x08\x03"  # google.rpc.Status, INVALID_ARGUMENT
    assert b"neither JSON nor OTLP protobuf" in answer.body
    answer = await client.post("/v1/traces", call())
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert client.values == []


# Calls, LiteLLM, REST


async def test_native_calls_alone_in_an_array_and_in_lines(client: Client) -> None:
    one = await client.post("/v1/calls", call(1))
    several = await client.post("/v1/calls", [call(2), call(3)])
    lines = b"\n".join(json.dumps(call(n)).encode() for n in (4, 5)) + b"\n\n"
    streamed = await client.post("/v1/calls", lines, "application/x-ndjson")
    pretty = await client.post("/v1/calls", json.dumps(call(6), indent=2).encode())
    answers = [one, several, streamed, pretty]
    assert [answer.json["accepted"] for answer in answers] == [1, 2, 2, 1]
    assert [json.loads(value)["id"] for value in client.values] == [f"c{n}" for n in range(1, 7)]


async def test_what_can_be_read_is_taken_and_the_rest_is_told(client: Client) -> None:
    answer = await client.post("/v1/calls", [call(1), {"id": "x", "ts": 1, "model": 7}, call(2)])
    assert answer.status == 200
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 1)
    (error,) = answer.json["errors"]
    assert error["message"].startswith("[1] model: ")
    assert len(client.values) == 2


@pytest.mark.parametrize("path", ["/litellm", "/any/path", "/v1/calls"])
async def test_litellms_payloads_are_known_at_any_path(client: Client, path: str) -> None:
    number = len(json.loads(PAYLOADS))
    answer = await client.post(path, PAYLOADS)
    assert (answer.status, answer.json["accepted"], len(client.values)) == (200, number, number)
    assert all(decode(value, format="litellm").calls for value in client.values)


@pytest.mark.parametrize("file", sorted((DATA / "interop").glob("*.rest.json")), ids=lambda file: file.name)
async def test_a_vendors_path_is_a_record_with_method_path_and_body(client: Client, file: Path) -> None:
    """With a prefix before it, as where the gateway stands behind a proxy."""
    recorded = json.loads(file.read_bytes())  # noqa: ASYNC240 - of the repository
    requests = recorded if isinstance(recorded, list) else [recorded]
    for request in requests:
        answer = await client.post(f"/some/prefix{request['path']}", request["body"])
        assert answer.status == 200, answer.body
        assert set(answer.json) == {"accepted", "ignored"}
    taken = [decode(value, 1, format="rest").calls for value in client.values]
    assert taken == [decode(json.dumps(request).encode(), 1, format="rest").calls for request in requests]


async def test_langsmiths_client_is_told_to_send_json_and_opiks_that_it_is_alive(client: Client) -> None:
    told = await client.get("/langsmith/info")
    config = told.json["batch_ingest_config"]
    assert (told.status, config["use_multipart_endpoint"]) == (200, False)
    assert set(config) >= {
        "size_limit",
        "scale_up_qsize_trigger",
        "scale_up_nthreads_limit",
    }  # it reads all three
    assert (await client.get("/is-alive/ping")).status == 200


async def test_the_same_event_has_the_same_key_again(client: Client) -> None:
    """A client that was told to try again may have been heard: duplicates are found within a partition."""
    for _ in range(2):
        await client.post("/v1/calls", [call(1, session="s"), call(2, trace_id="t"), call(3)])
        await client.post("/v1/traces", TRACES, PROTOBUF)
    keys = [record.key for record in client.kept.records]
    assert keys[:3] == [b"s", b"t", b"c3"]
    assert keys[3] is not None
    assert keys[:4] == keys[4:]


# Secrets


async def test_no_secret_reaches_kafka(client: Client) -> None:
    attributes = [
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
        {"key": "http.request.header.authorization", "value": {"stringValue": "sk-planted"}},
    ]
    span = {
        "traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "chat m", "startTimeUnixNano": "1764000000000000000",
        "endTimeUnixNano": "1764000001000000000", "attributes": attributes,
    }  # fmt: skip
    export = ExportTraceServiceRequest.FromString(TRACES)
    for group in export.resource_spans:
        group.resource.attributes.add(key="api-key").value.string_value = "sk-planted"
        for span_ in group.scope_spans[0].spans:
            span_.attributes.add(key="gen_ai.request.api_key").value.string_value = "sk-planted"
    posted = [
        await client.post(
            "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, Authorization="Bearer sk-planted"
        ),
        await client.post("/v1/traces", export.SerializeToString(), PROTOBUF),
        await client.post("/v1/calls", call(tags={"a": "b"}, Authorization="sk-planted")),
        await client.post(f"{PROMPTLAYER['path']}?api_key=sk-planted", PROMPTLAYER["body"] | {"api_key": "sk-planted"}),
    ]  # fmt: skip
    assert [answer.status for answer in posted] == [200] * 4
    assert b"sk-planted" not in b"".join(client.values)
    assert len(client.values) == 4
    plain = decode(TRACES)
    assert decode(client.values[1]).calls == plain.calls


# Refusals


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "told"),
    [
        ("/v1/calls", b"not JSON", "application/json", 400, "not JSON"),
        ("/v1/calls", {"id": "a"}, "application/json", 400, "does not have the fields of any known format"),
        ("/v1/calls", call(model="planted" * 99), "application/json", 400, "model: "),
        ("/api/public/ingestion", b"[", "application/json", 400, "not JSON"),
        ("/litellm", call(), "application/json", 400, "LiteLLM"),
        ("/v1/metrics", {}, "application/json", 404, "send OTLP to /v1/traces"),
        ("/nowhere", call(), "application/json", 404, "calls to /v1/calls"),
        ("/v1/calls", call(), "text/plain", 415, "Content-Type: send application/json"),
        ("/v1/calls", call(), None, 415, "Content-Type: send application/json"),
        ("/v1/traces", b"", "application/grpc", 415, "OTLP/HTTP is application/x-protobuf or application/json"),
        ("/v1/calls", b" " * 5_000, "application/json", 413, "raise LLMVITALS_GATEWAY_MAX_BYTES"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_to_do(
    path: str, body: Any, content_type: str | None, status: int, told: str
) -> None:
    async with listening(gateway_max_bytes=4_096) as client:
        answer = await client.post(path, body, content_type)
        assert answer.status == status, answer.body
        assert told in json.dumps(answer.json)
        assert b"planted" not in answer.body
        assert client.values == []


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused() -> None:
    async with listening(gateway_max_bytes=4_096) as client:
        for body in (gzip.compress(b" " * 3_000_000), b"\0" * 5_000):
            answer = await client.post("/v1/calls", body, Content_Encoding="gzip")
            assert answer.status == 413


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [("br", b"x", 415), ("gzip", b"no gzip", 400), ("gzip", gzip.compress(b"{}" * 99)[:-9], 400)],
    ids=["unknown", "none", "cut"],
)
async def test_a_damaged_or_unknown_compression(
    client: Client, encoding: str, body: bytes, status: int
) -> None:
    assert (await client.post("/v1/calls", body, Content_Encoding=encoding)).status == status


@pytest.mark.parametrize("status", [429, 503])
async def test_when_kafka_does_not_take_it_the_client_is_told_when_to_try_again(
    client: Client, status: int
) -> None:
    client.kept.refusal = Refusal(status, "Kafka is behind", 5)
    native = await client.post("/v1/calls", call())
    otlp = await client.post("/v1/traces", TRACES, PROTOBUF)
    assert [(answer.status, answer.headers["Retry-After"]) for answer in (native, otlp)] == [
        (status, "5")
    ] * 2
    assert native.json == {"error": "Kafka is behind"}


async def test_only_post_brings_events(client: Client) -> None:
    assert (await client.get("/v1/traces")).status == 405
    assert (await client.get("/favicon.ico")).status == 404


# Health


async def test_it_is_ready_when_kafka_is(client: Client) -> None:
    assert (await client.get("/readyz")).json == {"ready": True, "reasons": []}
    client.kept.silent = True
    assert (await client.get("/readyz")).status == 503
    client.gateway.ready("Kafka at k:1 can't be reached")
    answer = await client.post("/v1/calls", call())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Kafka at k:1 can't be reached" in answer.json["error"]
    assert (await client.get("/healthz")).json == {"alive": True}


async def test_it_counts(client: Client) -> None:
    await client.post("/v1/calls", [call(1), call(2), {}])
    await client.post("/nowhere", {})
    lines = (await client.get("/metrics")).body.decode().splitlines()
    assert 'llmvitals_gateway_requests_total{form="calls",status="200"} 1.0' in lines
    assert 'llmvitals_gateway_requests_total{form="unknown",status="404"} 1.0' in lines
    assert 'llmvitals_gateway_events_total{outcome="accepted"} 2.0' in lines
    assert 'llmvitals_gateway_events_total{outcome="rejected"} 1.0' in lines
    assert "llmvitals_gateway_waiting_records 0.0" in lines


def test_the_default_is_this_machine_and_the_port_of_otlp() -> None:
    assert (Settings().gateway_host, Settings().gateway_port) == ("127.0.0.1", 4318)
