"""Reads spans of Vercel's AI SDK for TypeScript (`ai.*`), versions 4 to 6.

The spans of requests to a model have GenAI's names, too, but neither cached tokens nor reasoning. The spans
around them repeat their usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmvitals import texts
from llmvitals.ingest import events, genai
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.span_lengths import SpanLengths
from llmvitals.ingest.values import millis
from llmvitals.lenient import listed, mapping, text
from llmvitals.usage import usage_of

_ID: Final = "ai.operationId"
_ASKED: Final = (".doGenerate", ".doStream")
_EMBEDDED: Final = ".doEmbed"
_USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
    "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
    "total_tokens": ("ai.usage.totalTokens",),
    "cache_read_input_tokens": ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    "cache_creation_input_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
}
"""Name in a usage object → attributes, the preferred first."""
_REASONING: Final = ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens")


def read(span: Span) -> tuple[Reading, ...] | None:
    """A request to a model, or the execution of a tool."""
    name = span.text(_ID)
    if name is None:
        return None
    if name == "ai.toolCall":
        return events.tool(span, span.text("ai.toolCall.name"))
    if name.endswith(_EMBEDDED):
        return (Reading("embedding", _call(span, "embedding")),)
    return (Reading("llm", _call(span, "chat")),) if name.endswith(_ASKED) else NOTHING


def _call(span: Span, operation: str) -> dict[str, Any]:
    model, provider = span.text("ai.model.id"), span.text("ai.model.provider")
    fields = genai.model_call(span, operation)
    first = span.number("ai.response.msToFirstChunk")
    tools = [text(mapping(call).get("toolName")) for call in listed(span.structure("ai.response.toolCalls"))]
    if fields["finish_reason"] == "error":  # of a stream that broke
        fields |= {"status": "error", "error_type": fields["error_type"] or "error"}
    return fields | _usage(span, operation) | {
        "model": fields["model"] or model or "",
        "requested_model": fields["requested_model"] or model,
        # The part behind the dot is the interface, as in openai.chat.
        "provider": provider.partition(".")[0].lower() if provider else None,
        "stream": (span.text(_ID) or "").endswith(".doStream"),
        "ttft_ms": None if first is None else millis(first),
        "tools": [{"name": name} for name in tools if name] or None,
    }  # fmt: skip


def _usage(span: Span, operation: str) -> dict[str, int | None]:
    # Anthropic's own usage: versions 4 and 5 leave its cache out of theirs.
    for told in mapping(span.structure("ai.response.providerMetadata")).values():
        usage = usage_of(mapping(told).get("usage"), operation)
        if usage.get("input_tokens") is not None:
            return usage
    given: dict[str, Any] = {name: span.get(*attributes) for name, attributes in _USAGE.items()}
    given["output_tokens_details"] = {"reasoning_tokens": span.get(*_REASONING)}
    return usage_of(given, operation)


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer."""
    answer = span.get("ai.response.text")
    return {
        "input_text": texts.last_message(span.get("ai.prompt.messages"), "user"),
        "output_text": texts.plain(answer) if isinstance(answer, str) else None,
    }


_LENGTHS: Final = SpanLengths(
    inputs=r"ai\.(prompt\.messages|values)",
    outputs=r"ai\.response\.(text|toolCalls)",
    tools=r"ai\.prompt\.tools",
)


def read_lengths(span: Span) -> dict[str, int | None]:
    """The bytes of the texts, and the output limit."""
    return genai.read_lengths(span) | _LENGTHS.of(span)


DIALECT: Final = Dialect(("ai.",), read, read_texts, read_lengths)
