"""Reads spans of MLflow Tracing. Every value is a JSON document in a text, also a plain word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmvitals import texts
from llmvitals.ingest import answers, events
from llmvitals.ingest.span import NOTHING, Dialect, Kind, Reading, Span
from llmvitals.ingest.values import dollars, first, structure, unquoted
from llmvitals.lenient import mapping, text
from llmvitals.usage import usage_of

_TYPE: Final = "mlflow.spanType"
_OUTPUTS: Final = "mlflow.spanOutputs"
_FIRST_CHUNK: Final = ("mlflow.chunk.item.0", "new_token")
"""Of a stream of a provider's SDK, and of one of LangChain."""
_PART: Final = ("mlflow.chunk.value", "chunk")
"""What came in a part of these streams."""


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a span of MLflow tells of."""
    kind = _word(span, _TYPE)
    if kind is None:
        return None
    kind = kind.upper()
    if kind in ("CHAT_MODEL", "LLM"):
        return _model_call(span, "llm", "chat")
    if kind == "EMBEDDING":
        return _model_call(span, "embedding", "embedding")
    if kind in ("RETRIEVER", "RERANKER"):
        return events.retrieval_of(span, span.structure(_OUTPUTS))
    if kind == "TOOL":
        return events.tool(span, _word(span, "mlflow.spanFunctionName"))
    if kind == "GUARDRAIL":
        return events.guardrail(span, _word(span, "mlflow.spanFunctionName"),
                                events.verdict_of(span.structure(_OUTPUTS)))  # fmt: skip
    return NOTHING


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer."""
    inputs, outputs = mapping(span.structure("mlflow.spanInputs")), mapping(span.structure(_OUTPUTS))
    answer = first(outputs.get("choices")).get("message")
    return {
        "input_text": texts.last_message(inputs.get("messages"), "user"),
        "output_text": texts.last_message([answer]),
    }


DIALECT: Final = Dialect(("mlflow.",), read, read_texts)


def _word(span: Span, *names: str) -> str | None:
    return next(filter(None, (text(unquoted(span.get(name))) for name in names)), None)


def _model_call(span: Span, kind: Kind, operation: str) -> tuple[Reading, ...]:
    outputs = mapping(span.structure(_OUTPUTS))
    told = usage_of(span.structure("mlflow.chat.tokenUsage"), operation)
    usage = answers.detailed_usage(outputs, told) or answers.usage_in(outputs, operation)
    answer = answers.fields_of(outputs)
    if not usage and (last := _end_of_stream(span)):
        usage, answer = answers.detailed_usage(last, {}), answers.fields_of(last)
    if not (usage or span.is_error or span.has(_OUTPUTS)):
        return NOTHING
    provider, asked = _word(span, "mlflow.llm.provider"), _asked(span)
    cost = mapping(span.structure("mlflow.llm.cost"))
    return (Reading(kind, events.outcome(span) | usage | answer | {
        "operation": operation,
        # One scope stands for all autologgers, of which LangChain's and the SDK's report the same call.
        "instrumentor": f"mlflow.{span.name}"[:128],
        "model": _word(span, "mlflow.llm.model") or answers.model_of(outputs) or _word(span, "model")
        or asked or "",
        "requested_model": asked,
        "provider": provider.lower() if provider else None,
        "cost_usd": dollars(cost.get("total_cost")),
        "ttft_ms": span.since_start(*_FIRST_CHUNK),
        "stream": True if any(event.name in _FIRST_CHUNK for event in span.events) else None,
    }),)  # fmt: skip


def _end_of_stream(span: Span) -> Mapping[str, Any]:
    """The last part of a stream, with its usage: of the answer early versions tell only the text."""
    for event in span.events[:-3:-1]:
        value = next((event.attributes[name] for name in _PART if name in event.attributes), None)
        part = mapping(structure(span.plain(value))) if value is not None else {}
        of_langchain = mapping(mapping(part.get("kwargs")).get("message"))
        if "usage_metadata" in mapping(of_langchain.get("kwargs")):
            return {"usage_metadata": mapping(of_langchain["kwargs"])["usage_metadata"]}
        if part.get("usage"):
            return part
    return {}


def _asked(span: Span) -> str | None:
    asked = structure(span.get("mlflow.spanInputs")) or structure(span.get("invocation_params"))
    return text(mapping(asked).get("model"))
