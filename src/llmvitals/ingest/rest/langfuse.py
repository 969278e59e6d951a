"""Reads scores and ingestion batches of Langfuse. An observation comes twice: it counts when it has ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.langfuse import given_cost
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, joined, period, who
from llmvitals.ingest.values import dollars, micros, millis
from llmvitals.lenient import listed, mapping, number, text
from llmvitals.usage import usage_of

_OBSERVATIONS: Final = ("generation-create", "generation-update", "observation-create", "observation-update")


def read(request: Request) -> Found:
    """Scores, and generations of an ingestion batch. Who asked stands on their trace, in the same batch."""
    found = Found()
    if "/scores" in request.path:
        for entry in request.body if isinstance(request.body, list) else [request.body]:
            found.add(_score(mapping(entry), request.arrived))
        return found
    batch = [*map(mapping, listed(mapping(request.body).get("batch")))]
    for event in batch:
        if event.get("type") == "score-create":
            found.add(_score(mapping(event.get("body")), request.arrived))
        elif event.get("type") not in _OBSERVATIONS:
            found.filtered += 1
    traces = joined(mapping(event.get("body")) for event in batch if event.get("type") == "trace-create")
    asked = {text(trace.get("id")): _who(trace) for trace in traces}
    for observation in joined(_part(event) for event in batch if event.get("type") in _OBSERVATIONS):
        found.add(_generation(observation, asked.get(text(observation.get("traceId")), {})))
    return found


def _who(trace: Mapping[str, Any]) -> dict[str, str | None]:
    named = {"user": text(trace.get("userId")), "session": text(trace.get("sessionId"))}
    return {name: value for name, value in (who(trace.get("metadata")) | named).items() if value is not None}


def _part(event: Mapping[str, Any]) -> Mapping[str, Any]:
    body = mapping(event.get("body"))
    return {"kind": "generation", **body} if str(event["type"]).startswith("generation-") else body


def _score(entry: Mapping[str, Any], arrived: int) -> dict[str, Any] | None:
    value, name = entry.get("value"), text(entry.get("name"))
    target = text(entry.get("observationId")) or text(entry.get("traceId"))
    identity_ = (text(entry.get("id")),) if entry.get("id") else (target, name)
    fields = evaluation(
        name,
        value if isinstance(value, bool) else number(value),
        identity=identity_,
        ts=micros(entry.get("timestamp")) or arrived,
        target=target,
        annotator=entry.get("source"),
    )
    return None if fields is None else fields | {"environment": text(entry.get("environment"))}


def _generation(entry: Mapping[str, Any], asked: dict[str, str | None]) -> dict[str, Any] | None:
    times = period(entry.get("startTime"), entry.get("endTime"))
    kind = str(entry.get("type") or entry.get("kind")).lower()
    if not times or kind != "generation":
        return None
    begun, first = micros(entry.get("startTime")), micros(entry.get("completionStartTime"))
    error = (entry.get("statusMessage") or True) if entry.get("level") == "ERROR" else None
    usage = mapping(entry.get("usage"))
    return who(entry.get("metadata")) | asked | times | failure(error) | _usage(entry) | {
        **answers.fields_of(entry.get("output")),
        "id": (text(entry.get("id")),),
        "trace_id": text(entry.get("traceId")),
        "operation": "chat",
        "model": text(entry.get("model")) or "",
        "prompt_name": text(entry.get("promptName"), 256),
        "prompt_version": text(entry.get("promptVersion"), 256),
        "environment": text(entry.get("environment")),
        "ttft_ms": None if begun is None or first is None else millis((first - begun) / 1_000),
        "cost_usd": given_cost(entry.get("costDetails")) or dollars(usage.get("totalCost")),
    }  # fmt: skip


def _usage(entry: Mapping[str, Any]) -> dict[str, int | None]:
    usage = mapping(entry.get("usage"))
    plain = {name: value for name, value in usage.items() if name in ("input", "output", "total")}
    named = {"input_tokens": usage.get("promptTokens"), "output_tokens": usage.get("completionTokens")}
    return usage_of(entry.get("usageDetails")) or usage_of(plain) or usage_of(named) or usage_of(usage)


VENDOR: Final = Vendor(re.compile(r"/api/public/(scores|ingestion)"), read)
