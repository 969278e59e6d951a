"""Reads spans of Logfire's instrumentors, which have GenAI names; a stream is a span and a log.

The span of a stream ends with the request, and the log at the stream's end has its answer. The two may be in
different traces.
"""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import genai
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.values import millis

_SCOPE: Final = "logfire."
_TYPE: Final = "logfire.span_type"
_ANSWER: Final = (
    "gen_ai.response.id", "gen_ai.output.messages", "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
)  # fmt: skip


def read(span: Span) -> tuple[Reading, ...] | None:
    """A call, from the span of a request or from the log of a stream."""
    kind = span.get(_TYPE)
    if kind == "pending_span":
        return NOTHING  # a span that is still open comes again at its end
    if kind is None or not span.scope.startswith(_SCOPE):
        return None
    found = genai.read(span)
    if not found:
        return found
    if kind == "log":
        seconds = span.number("duration")
        took = {"latency_ms": None if seconds is None else millis(seconds * 1_000), "stream": True}
        span.start = span.end - round((took["latency_ms"] or 0) * 1_000_000)  # a log has no length
        return tuple(Reading(one.kind, one.fields | took) for one in found)
    return found if span.is_error or span.has(*_ANSWER) else NOTHING


DIALECT: Final = Dialect(("logfire.",), read, genai.read_texts, genai.read_lengths)
