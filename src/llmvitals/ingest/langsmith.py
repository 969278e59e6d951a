"""Reads spans of LangSmith's OpenTelemetry exporter (`langsmith.*` beside older GenAI names)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest import answers, events, genai
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.lenient import listed, mapping
from llmvitals.usage import usage_of

_KIND: Final = "langsmith.span.kind"
_USAGE: Final = "langsmith.metadata.usage_metadata"


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a run of LangSmith tells of. Its kind counts: a retriever is `embeddings` by its operation."""
    kind = (span.text(_KIND) or "").lower()
    if not kind:
        return None
    if kind in ("llm", "embedding"):
        return tuple(
            Reading(reading.kind, _answer(span) | _told(reading.fields) | _usage(span, kind))
            for reading in genai.read(span) or NOTHING
        )
    if kind == "retriever":
        output = mapping(span.structure("gen_ai.completion"))
        documents = listed(output.get("output")) or listed(output.get("documents"))
        size = len(documents) if output else None
        return events.retrieval(span, size, events.document_scores(documents))
    return events.tool(span, span.text("gen_ai.tool.name")) if kind == "tool" else NOTHING


def _answer(span: Span) -> dict[str, Any]:
    return answers.fields_of(span.structure("gen_ai.completion"))


def _usage(span: Span, operation: str) -> dict[str, Any]:
    return _told(usage_of(span.structure(_USAGE), operation))


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


DIALECT: Final = Dialect(("langsmith.",), read, genai.read_texts, genai.read_lengths)
