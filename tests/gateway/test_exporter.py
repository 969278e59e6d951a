"""OpenTelemetry's own exporters against the gateway."""

from __future__ import annotations

import asyncio
import logging

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateways import Client, listening
from llmvitals.gateway.answer import Refusal
from llmvitals.ingest import decode
from waiting import eventually

TOKEN = "right"  # noqa: S105 - a test's
MESSAGES = "Failed to export"


def spans() -> tuple[ReadableSpan, ...]:
    """A call as an instrumentor reports it, within a span of the application."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "team": "search"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2")
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.provider.name": "openai",
    }
    with (
        tracer.start_as_current_span("GET /"),
        tracer.start_as_current_span("chat gpt-5", attributes=asked) as span,
    ):
        span.set_attributes({"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3})
    return kept.get_finished_spans()  # type: ignore[no-any-return, unused-ignore]


async def exported(client: Client, token: str = TOKEN) -> SpanExportResult:
    exporter = OTLPSpanExporter(
        f"{client.gateway.url}/v1/traces",
        headers={"authorization": f"Bearer {token}"},
        compression=Compression.Gzip,
    )
    return await asyncio.to_thread(exporter.export, spans())


async def test_a_call_arrives(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(gateway_token=TOKEN) as client:
        assert await exported(client) is SpanExportResult.SUCCESS
        ((call,), filtered, *_) = decode(*client.values)
    assert (call.model, call.app, call.team, call.input_tokens, call.output_tokens) == (
        "gpt-5", "shop", "search", 12, 3,
    )  # fmt: skip
    assert filtered == 1
    assert MESSAGES not in caplog.text


async def test_it_tries_again_when_kafka_is_behind() -> None:
    async with listening(gateway_token=TOKEN) as client:
        client.kept.refusal = Refusal(429, "Kafka is behind", 1)
        exporting = asyncio.create_task(exported(client))
        await eventually(lambda: client.kept.refused)
        client.kept.refusal = None
        assert await exporting is SpanExportResult.SUCCESS
        assert len(client.values) == 1


async def test_a_wrong_token_is_told_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with listening(gateway_token=TOKEN) as client:
        assert await exported(client, "wrong") is SpanExportResult.FAILURE
        assert client.values == []
    assert "403" in caplog.text
