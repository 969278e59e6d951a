"""Reads spans by OpenTelemetry's GenAI conventions: the current names (v1.41) and older ones."""

from __future__ import annotations

import json
from typing import Any, Final

from llmvitals.ingest import texts
from llmvitals.ingest.span import Dialect, Event, Span
from llmvitals.ingest.values import identity, millis, number, text, tier

_PREFIXES: Final = ("gen_ai.", "llm.")

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
_TIERS: Final = (
    "openai.response.service_tier", "gen_ai.openai.response.service_tier", "anthropic.response.service_tier",
)  # fmt: skip
"""Of the answer. What the request asked for, such as `openai.request.service_tier`, sets no price."""
_INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_EVIDENCE: Final = (
    *_INPUT, *_OUTPUT, "gen_ai.response.id", "llm.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.role", "gen_ai.prompt.0.content",
    "gen_ai.completion.0.role", "gen_ai.completion.0.content", "gen_ai.completion.0.finish_reason",
)  # fmt: skip
"""A call has one of these or an error; a span without is only a wrapper around another one."""
_FIRST_CHUNK: Final = "llm.content.completion.chunk"


def read(span: Span) -> dict[str, Any] | None:
    """The fields of the span's call; None if the span is no call."""
    operation = _operation(span)
    failed = next((event for event in span.events if event.name == "exception"), None)
    error = span.failed or failed is not None
    if operation is None or not (error or any(name in span.attributes for name in _EVIDENCE)):
        return None
    return _who(span) | _usage(span) | {
        "operation": operation,
        "response_id": identity(span.get("gen_ai.response.id", "llm.response.id")),
        "model": span.text("gen_ai.response.model", "gen_ai.request.model") or "",
        "requested_model": span.text("gen_ai.request.model"),
        "provider": _lower(span.text("gen_ai.provider.name", "gen_ai.system")),
        "service_tier": tier(span.get(*_TIERS)),
        "stream": span.flag("gen_ai.request.stream", "llm.is_streaming"),
        "latency_ms": _latency(span),
        "ttft_ms": _first_token(span),
        "status": "error" if error else "ok",
        "error_type": _error_type(span, failed) if error else None,
        "finish_reason": _finish_reason(span),
        "scores": _scores(span),
    }  # fmt: skip


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer, from attributes with messages or with one text each."""
    prompt, number = None, 0
    while (role := span.text(f"gen_ai.prompt.{number}.role")) is not None:
        prompt = span.get(f"gen_ai.prompt.{number}.content") if role == "user" else prompt
        number += 1
    answer = span.get("gen_ai.completion.0.content")
    return {
        "input_text": texts.last_message(span.get("gen_ai.input.messages"), "user") or _content(prompt),
        "output_text": texts.last_message(span.get("gen_ai.output.messages")) or _content(answer),
    }


def _content(value: Any) -> str | None:
    return texts.plain(value) if isinstance(value, str) else None


DIALECT: Final = Dialect(_PREFIXES, read, read_texts)


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
    input_tokens, output_tokens = span.count(*_INPUT), span.count(*_OUTPUT)
    cached = span.count("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
    written = span.count(
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    )
    if input_tokens is not None and span.text("gen_ai.provider.name", "gen_ai.system") in (
        "aws.bedrock",
        "AWS",
    ):
        input_tokens += (cached or 0) + (written or 0)  # Bedrock does not count cached tokens as input
    total = span.count("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
    if total is not None and input_tokens is not None and output_tokens is not None:
        output_tokens = max(output_tokens, total - input_tokens)  # the rest is reasoning
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": span.count(
            "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"
        ),
    }


def _latency(span: Span) -> float | None:
    # A span that ends before its own events was closed too early, so its length is wrong.
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
    reason = span.get("gen_ai.response.finish_reasons", "gen_ai.completion.0.finish_reason")
    if isinstance(reason, str) and reason.startswith("["):
        try:
            reason = json.loads(reason)
        except (ValueError, RecursionError):
            return None
    return text(reason[0] if isinstance(reason, list) and reason else reason, 256)


def _scores(span: Span) -> dict[str, float] | None:
    scores = {}
    for event in span.events:
        if event.name == "gen_ai.evaluation.result":
            attributes = {key: span.plain(value) for key, value in event.attributes.items()}
            name, value = (
                text(attributes.get("gen_ai.evaluation.name")),
                number(attributes.get("gen_ai.evaluation.score.value")),
            )
            if name is not None and value is not None:
                scores[name] = value
    return scores or None
