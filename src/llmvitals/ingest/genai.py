"""Spans by OpenTelemetry's GenAI conventions: the newest names, those of v1.41, and the older ones."""

from __future__ import annotations

import json
from typing import Any, Final

from llmvitals.ingest import texts
from llmvitals.ingest.span import Event, Span
from llmvitals.ingest.values import identity, millis, number, text

PREFIXES: Final = ("gen_ai.", "llm.")
"""A span that has no attribute with such a name is none of ours."""

_OPERATIONS: Final = {
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "completion",
    "completion": "completion",
    "acompletion": "chat",
    "aembedding": "embedding",
    "embeddings": "embedding",
    "embedding": "embedding",
    "rerank": "rerank",
}
_NO_CALLS: Final = (
    *("invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "retrieval", "guardrails"),
    *("workflow", "task"),
)
_TIERS: Final = ("default", "batch", "flex", "priority")
_INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_SAYS: Final = (
    *_INPUT, *_OUTPUT, "gen_ai.response.id", "llm.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.role", "gen_ai.prompt.0.content",
    "gen_ai.completion.0.role", "gen_ai.completion.0.content", "gen_ai.completion.0.finish_reason",
)  # fmt: skip
"""One of these (or an error) tells a call from an empty span around it."""
_FIRST_CHUNK: Final = "llm.content.completion.chunk"


def read(span: Span) -> dict[str, Any] | None:
    """The fields of the call that the span is; None if it is no call."""
    operation = _operation(span)
    failed = next((event for event in span.events if event.name == "exception"), None)
    error = span.failed or failed is not None
    if operation is None or not (error or any(name in span.attributes for name in _SAYS)):
        return None
    return _who(span) | _usage(span) | {
        "operation": operation,
        "model": span.text("gen_ai.response.model", "gen_ai.request.model") or "",
        "requested_model": span.text("gen_ai.request.model"),
        "provider": _lower(span.text("gen_ai.provider.name", "gen_ai.system")),
        "service_tier": _tier(span),
        "stream": span.flag("gen_ai.request.stream", "llm.is_streaming"),
        "latency_ms": _latency(span),
        "ttft_ms": _first_token(span),
        "status": "error" if error else "ok",
        "error_type": _error_type(span, failed) if error else None,
        "finish_reason": _finish_reason(span),
        "scores": _scores(span),
    }  # fmt: skip


def said(span: Span) -> dict[str, str | None]:
    """What the user said last, and what the model answered; in messages, or one attribute each."""
    asked, number = None, 0
    while (role := span.text(f"gen_ai.prompt.{number}.role")) is not None:
        asked = span.get(f"gen_ai.prompt.{number}.content") if role == "user" else asked
        number += 1
    answered = span.get("gen_ai.completion.0.content")
    return {
        "input_text": texts.said(span.get("gen_ai.input.messages"), "user") or _content(asked),
        "output_text": texts.said(span.get("gen_ai.output.messages")) or _content(answered),
    }


def _content(found: Any) -> str | None:
    return texts.plain(found) if isinstance(found, str) else None


def response_id(span: Span) -> str | None:
    """The provider's id of the answer: spans of several instrumentors that share it are one call."""
    return identity(span.get("gen_ai.response.id", "llm.response.id"))


def _operation(span: Span) -> str | None:
    kind = _lower(span.text("gen_ai.operation.name", "llm.request.type")) or ""
    if kind in _OPERATIONS:
        return _OPERATIONS[kind]
    if kind in _NO_CALLS:
        return None
    used = any(name in span.attributes for name in (*_INPUT, *_OUTPUT))
    modelled = any(name in span.attributes for name in ("gen_ai.response.model", "gen_ai.request.model"))
    return "chat" if used and modelled else None


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None


def _who(span: Span) -> dict[str, Any]:
    return {
        "app": span.of_resource("service.name"),
        "environment": span.of_resource("deployment.environment.name", "deployment.environment"),
        "user": span.text("user.id", "gen_ai.user", "enduser.id", "llm.user"),
        "session": span.text("gen_ai.conversation.id", "session.id"),
        "agent": span.text("gen_ai.agent.name"),
        "prompt_name": span.text("gen_ai.prompt.name"),
        "prompt_version": span.text("gen_ai.prompt.version"),
    }


def _usage(span: Span) -> dict[str, int | None]:
    given, taken = span.count(*_INPUT), span.count(*_OUTPUT)
    cached = span.count("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
    written = span.count(
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    )
    if given is not None and span.text("gen_ai.provider.name", "gen_ai.system") in ("aws.bedrock", "AWS"):
        given += (cached or 0) + (written or 0)  # Bedrock's own count leaves the cache out
    total = span.count("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
    if total is not None and given is not None and taken is not None:
        taken = max(taken, total - given)  # what is over was thought
    return {
        "input_tokens": given,
        "output_tokens": taken,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": span.count(
            "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"
        ),
    }


def _tier(span: Span) -> str | None:
    tier = span.text("openai.response.service_tier", "gen_ai.openai.response.service_tier")
    return tier if tier in _TIERS else None


def _latency(span: Span) -> float | None:
    # A span that ended before its own events was closed too early.
    if any(event.time > span.end for event in span.events):
        return None
    return millis((span.end - span.start) / 1_000_000)


def _first_token(span: Span) -> float | None:
    seconds = span.number("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
    if seconds is not None:
        return millis(seconds * 1_000)
    chunks = [event.time for event in span.events if event.name == _FIRST_CHUNK]
    return millis((min(chunks) - span.start) / 1_000_000) if chunks else None


def _error_type(span: Span, failed: Event | None) -> str | None:
    kind = text(span.get("error.type"), 256)
    if kind is None and failed is not None and "exception.type" in failed.attributes:
        kind = text(span.plain(failed.attributes["exception.type"]), 256)
    return kind


def _finish_reason(span: Span) -> str | None:
    found = span.get("gen_ai.response.finish_reasons", "gen_ai.completion.0.finish_reason")
    if isinstance(found, str) and found.startswith("["):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return None
    return text(found[0] if isinstance(found, list) and found else found, 256)


def _scores(span: Span) -> dict[str, float] | None:
    scores = {}
    for event in span.events:
        if event.name == "gen_ai.evaluation.result":
            found = {key: span.plain(value) for key, value in event.attributes.items()}
            name, value = (
                text(found.get("gen_ai.evaluation.name")),
                number(found.get("gen_ai.evaluation.score.value")),
            )
            if name is not None and value is not None:
                scores[name] = value
    return scores or None
