"""Reads spans and feedback scores of Comet Opik. A span comes twice: it counts when it has ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.rest.vendor import Found, Request, Vendor, evaluation, failure, period, who
from llmvitals.ingest.values import dollars, identity, micros
from llmvitals.lenient import listed, mapping, number, text, tier
from llmvitals.litellm_calls import operation_of
from llmvitals.usage import usage_of

_ID: Final = re.compile(r"/spans/([0-9a-f-]{36})/?$")
_LOCAL: Final = re.compile(r"[\d.:]+$|localhost")
"""Opik takes the host of an endpoint of your own for its provider."""


def read(request: Request) -> Found:
    """Spans of the types llm, tool and guardrail, and scores."""
    found = Found()
    body = mapping(request.body)
    if "feedback-scores" in request.path:
        for entry in map(mapping, listed(body.get("scores")) or [body]):
            found.add(_score(entry, request))
        return found
    for span in map(
        mapping, listed(body.get("spans")) or ([] if "traces" in body else [_named(request, body)])
    ):
        found.add(_span(span))
    found.filtered += len(listed(body.get("traces")))
    return found


def _named(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A span alone. The end of one has its id in the path only."""
    found = _ID.search(request.path)
    return body if found is None else {"id": found.group(1), **body}


def _score(entry: Mapping[str, Any], request: Request) -> dict[str, Any] | None:
    path = request.path.rstrip("/").split("/")
    target = text(entry.get("id")) or (path[-2] if len(path) > 1 else None)
    name = text(entry.get("name"))
    return evaluation(
        name,
        number(entry.get("value")),
        identity=(target, name),
        ts=micros(entry.get("last_updated_at")) or request.arrived,
        target=target,
        annotator=entry.get("source"),
    )


def _span(span: Mapping[str, Any]) -> dict[str, Any] | None:
    # The client for TypeScript tells the type only at the beginning; of other spans there is no usage.
    kind = span.get("type") or ("llm" if usage_of(span.get("usage")) else None)
    times = period(span.get("start_time"), span.get("end_time"))
    if not times or kind not in ("llm", "tool", "guardrail"):
        return None
    metadata, error = mapping(span.get("metadata")), mapping(span.get("error_info"))
    fields = who(metadata) | times | _failure(error) | {
        "id": (text(span.get("id")),),
        "trace_id": text(span.get("trace_id")),
        "app": text(span.get("project_name")),
    }  # fmt: skip
    name = text(span.get("name"))
    if kind == "tool":
        if "messages" in mapping(mapping(span.get("output")).get("output")):
            return None  # a prompt of LangChain
        return fields | {"operation": "tool", "tools": [{"name": name or "tool"}]}
    output = mapping(span.get("output"))
    if kind == "guardrail":
        verdict = "block" if output.get("guardrail_result") == "failed" else "pass"
        return fields | {
            "operation": "guardrail",
            "guardrails": [{"name": name or "guardrail", "verdict": verdict}],
        }
    provider = text(span.get("provider") or metadata.get("ls_provider"))
    usage = mapping(span.get("usage"))
    plain = {key: value for key, value in usage.items() if not key.startswith("original_usage.")}
    answer = answers.fields_of(output)
    served = tier(metadata.get("service_tier"))  # the rest of the answer is there
    operation = operation_of(metadata.get("type")) if metadata.get("created_from") == "litellm" else "chat"
    given = usage_of(metadata.get("usage"), operation) or usage_of(plain, operation)
    return fields | answers.detailed_usage(output, given) | answer | {
        "operation": operation,
        "model": text(span.get("model") or metadata.get("model") or metadata.get("ls_model_name")) or "",
        "provider": None if provider is None or _LOCAL.match(provider) else provider.lower(),
        "service_tier": served or answer["service_tier"],
        "response_id": identity(metadata.get("id")) or answer["response_id"],
        "cost_usd": dollars(span.get("total_estimated_cost") or span.get("total_cost")),
    }  # fmt: skip


def _failure(error: Mapping[str, Any]) -> dict[str, Any]:
    message = error.get("message") or error.get("traceback")
    return failure(error and (message or error), error.get("exception_type"))


VENDOR: Final = Vendor(
    re.compile(r"/v1/private/(spans|traces)(/batch)?(/[0-9a-f-]{36})?(/feedback-scores)?/?(\?.*)?$"), read
)
