"""Measures decoding, validating and pricing on one core: `python -m benchmarks.ingest [--profile FORM]`.

Native calls of twenty fields, LiteLLM's recorded payload, and OpenTelemetry exports of 50 spans of which one
in five is a call of a model, in protobuf and in JSON. Beside each: json.loads of the same bytes, or bare
opentelemetry-proto. Time is that of the processor, so other processes disturb little; the best of the rounds
counts. Records, or spans, a second.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from benchmarks.combine import MODELS, event
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llmvitals.combine import CombinePlan
from llmvitals.combine.reader import read
from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.log import Logged
from llmvitals.record.native import DECODER
from llmvitals.record.tokens import token_columns

START: Final = 1_795_503_015_000
PAYLOAD: Final = Path(__file__).parents[1] / "tests" / "data" / "ingest" / "litellm_payload.json"
SPANS: Final = 50
GOALS: Final = {"native": 300_000, "litellm": 30_000, "otlp protobuf": 60_000, "otlp json": 40_000}


def natives(count: int) -> list[bytes]:
    """Native calls."""
    dice = random.Random(1)
    return [msgspec.json.encode(event(dice, number, START + number)) for number in range(count)]


def payloads(count: int) -> list[bytes]:
    """LiteLLM's payload of one call, with other ids, users, models and tokens."""
    dice, recorded = random.Random(2), json.loads(PAYLOAD.read_bytes())
    return [
        json.dumps(recorded | {
            "litellm_call_id": f"call-{number}", "id": f"chatcmpl-{number}",
            "end_user": f"user-{number % 2_000}", "model": MODELS[number % 6][1],
            "prompt_tokens": dice.randrange(9_000),
            "startTime": START / 1_000 + number, "endTime": START / 1_000 + number + dice.random() * 9,
        }).encode()
        for number in range(count)
    ]  # fmt: skip


def exports(count: int) -> list[ExportTraceServiceRequest]:
    """Exports of SPANS spans, in traces of five: a request, two queries, a call of a model, an answer."""
    dice = random.Random(3)
    made = []
    for _ in range(count):
        export = ExportTraceServiceRequest()
        group = export.resource_spans.add()
        for key, value in {
            "service.name": f"app-{dice.randrange(30)}", "deployment.environment.name": "prod",
            "telemetry.sdk.language": "python", "telemetry.sdk.version": "1.45.2", "host.name": "host-1",
        }.items():  # fmt: skip
            group.resource.attributes.add(key=key).value.string_value = value
        scopes = [group.scope_spans.add() for _ in range(2)]
        scopes[0].scope.name = "opentelemetry.instrumentation.fastapi"
        scopes[1].scope.name = "opentelemetry.instrumentation.openai_v2"
        for _ in range(SPANS // 5):
            trace, parent = dice.randbytes(16), b""
            for kind in range(5):
                span = scopes[kind == 3].spans.add(
                    trace_id=trace, span_id=dice.randbytes(8), parent_span_id=parent
                )
                parent = parent or span.span_id
                start = START * 1_000_000 + dice.randrange(10**12)
                span.start_time_unix_nano, span.end_time_unix_nano = start, start + dice.randrange(10**9)
                _describe(span, kind, dice)
        made.append(export)
    return made


def _describe(span: Span, kind: int, dice: random.Random) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": "POST", "url.path": "/chat", "http.route": "/chat",
        "server.address": "chat.example", "network.protocol.version": "1.1",
        "http.response.status_code": 200, "client.address": "10.0.0.1",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
    }  # fmt: skip
    span.name = "POST /chat"
    if kind == 3:
        span.name = "chat"
        _, model = MODELS[dice.randrange(2)]
        attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
            "gen_ai.response.model": model, "gen_ai.response.id": f"chatcmpl-{dice.getrandbits(64):x}",
            "gen_ai.request.max_tokens": 900, "gen_ai.response.finish_reasons": '["stop"]',
            "gen_ai.usage.input_tokens": dice.randrange(9_000),
            "gen_ai.usage.output_tokens": dice.randrange(900),
            "gen_ai.usage.cache_read.input_tokens": 0, "server.address": "api.openai.com", "server.port": 443,
            "user.id": f"user-{dice.randrange(2_000)}", "session.id": f"session-{dice.randrange(20_000)}",
            "team": f"team-{dice.randrange(10)}", "openai.response.service_tier": "default",
        }  # fmt: skip
    for key, value in attributes.items():
        if isinstance(value, int):
            span.attributes.add(key=key).value.int_value = value
        else:
            span.attributes.add(key=key).value.string_value = value


def as_json(export: ExportTraceServiceRequest) -> bytes:
    """The export as a Collector writes it in JSON: ids in hex, 64 bits as texts."""
    groups = [
        {
            "resource": {"attributes": _pairs(group.resource.attributes)},
            "scopeSpans": [
                {"scope": {"name": scoped.scope.name}, "spans": [_span(span) for span in scoped.spans]}
                for scoped in group.scope_spans
            ],
        }
        for group in export.resource_spans
    ]
    return json.dumps({"resourceSpans": groups}, separators=(",", ":")).encode()


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(), "name": span.name,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano), "attributes": _pairs(span.attributes), "status": {},
    }  # fmt: skip


def _pairs(attributes: Any) -> list[dict[str, Any]]:
    return [
        {"key": one.key, "value": {"intValue": str(one.value.int_value)}}
        if one.value.HasField("int_value")
        else {"key": one.key, "value": {"stringValue": one.value.string_value}}
        for one in attributes
    ]


def llmvitals(records: Sequence[Logged]) -> None:
    """Decode, validate and price, as combine does it."""
    batch = read(records, PLAN)
    PLAN.assess(batch.calls, token_columns(batch.calls))
    if batch.refused or not batch.calls:
        raise SystemExit(f"nothing was read: {batch.refused[:1]}")


PLAN: Final = CombinePlan(decode=decode, native=DECODER.decode, assess=Prices().assess_all)


def loads(records: Sequence[Logged]) -> None:
    """Parse the JSON alone."""
    for record in records:
        json.loads(record.value or b"")


def proto(records: Sequence[Logged]) -> None:
    """Parse the protobuf alone."""
    for record in records:
        ExportTraceServiceRequest.FromString(record.value or b"")


Work = Callable[[Sequence[Logged]], None]


def logged(values: Iterable[bytes]) -> list[Logged]:
    """The values as records of a topic."""
    return [Logged(offset, START, value) for offset, value in enumerate(values)]


def rate(work: Work, records: Sequence[Logged], rounds: int) -> float:
    """Records a second of the processor, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        work(records)
        best = min(best, time.process_time() - begun)
    return len(records) / best


def main() -> None:
    """Measure the four formats."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profile", metavar="FORM", choices=GOALS, help="show where the time of one goes")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    gc.set_threshold(100_000, 20, 20)  # as in the commands: see entry.py
    made = exports(60)
    forms: dict[str, tuple[list[Logged], Work, int]] = {
        "native": (logged(natives(20_000)), loads, 1),
        "litellm": (logged(payloads(2_000)), loads, 1),
        "otlp protobuf": (logged(export.SerializeToString() for export in made), proto, SPANS),
        "otlp json": (logged(map(as_json, made)), loads, SPANS),
    }
    if chosen.profile:
        profile = cProfile.Profile()
        profile.runcall(llmvitals, forms[chosen.profile][0])
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    for name, (records, bare, several) in forms.items():
        ours, theirs = (rate(work, records, chosen.rounds) * several for work in (llmvitals, bare))
        print(
            f"{name:14} {ours:9,.0f}/s   {bare.__name__:5} {theirs:9,.0f}/s   ratio {ours / theirs:4.2f}   "
            f"goal {GOALS[name]:7,}   {len(records[0].value or b'') / several:6,.0f} bytes"
        )


if __name__ == "__main__":
    main()
