"""Reads spans of Langfuse's SDKs (`langfuse.observation.*`)."""

from __future__ import annotations

from typing import Any, Final

from llmvitals import texts
from llmvitals.ingest import answers, events, genai_usage
from llmvitals.ingest.span import NOTHING, Dialect, Kind, Reading, Span
from llmvitals.ingest.values import dollars, embeds, identity, micros, millis, named_error, structure
from llmvitals.lenient import mapping, number
from llmvitals.usage import usage_of

_TYPE: Final = "langfuse.observation.type"
_MODEL: Final = ("langfuse.observation.model.name", "gen_ai.response.model", "gen_ai.request.model")
_OUTPUT: Final = "langfuse.observation.output"
_USAGE: Final = "langfuse.observation.usage_details"
_OTHER_USAGE: Final = ("openinference.span.kind", *genai_usage.INPUT, *genai_usage.OUTPUT)


def read(span: Span) -> tuple[Reading, ...] | None:
    """What an observation of Langfuse tells of."""
    kind = (span.text(_TYPE) or "").lower()
    if not kind or _is_told_otherwise(span):
        return None
    if kind == "embedding" or (kind == "generation" and embeds(span.text(*_MODEL))):
        return _model_call(span, "embedding", "embedding")  # the client for JavaScript has one type for both
    if kind == "generation":
        return _model_call(span, "llm", "chat")
    if kind == "retriever":
        return events.retrieval_of(span, span.structure(_OUTPUT))
    if kind == "tool":
        return events.tool(span, None)
    if kind == "guardrail":
        return events.guardrail(span, None, events.verdict_of(_plain(span.get(_OUTPUT))))
    return NOTHING


def _is_told_otherwise(span: Span) -> bool:
    """Whether another vocabulary tells the tokens, and Langfuse's only what is around them, as of LiteLLM."""
    return not span.has(_USAGE, _MODEL[0]) and span.has(*_OTHER_USAGE)


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer."""
    question, answer = span.get("langfuse.observation.input"), span.get(_OUTPUT)
    messages = structure(question)
    asked = messages.get("messages") if isinstance(messages, dict) else messages
    reply = structure(answer)
    return {
        "input_text": texts.last_message(asked, "user") if messages is not None else _text(question),
        "output_text": texts.last_message([reply]) if reply is not None else _text(answer),
    }


DIALECT: Final = Dialect(("langfuse.",), read, read_texts)


def given_cost(details: Any) -> float | None:
    """The cost in Langfuse's details: their total, else the sum of the parts, as Langfuse adds them up."""
    parts = [number(part) for part in mapping(details).values()]
    total = mapping(details).get("total")
    return dollars(sum(part or 0 for part in parts) if total is None else total)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _plain(value: Any) -> Any:
    parsed = structure(value)
    return parsed if parsed is not None else {"true": True, "false": False}.get(str(value).lower(), value)


def _model_call(span: Span, kind: Kind, operation: str) -> tuple[Reading, ...]:
    usage = usage_of(span.structure(_USAGE), operation)
    error = span.is_error or span.text("langfuse.observation.level") == "ERROR"
    if not (usage or error or span.has(_OUTPUT, *_MODEL)):
        return NOTHING
    answer = answers.fields_of(span.structure(_OUTPUT))
    return (Reading(kind, events.outcome(span) | usage | answer | {
        "operation": operation,
        "model": span.text(*_MODEL) or "",
        "provider": (span.text("gen_ai.provider.name", "gen_ai.system") or "").lower() or None,
        "response_id": identity(span.get("gen_ai.response.id")) or answer["response_id"],
        "cost_usd": given_cost(span.structure("langfuse.observation.cost_details")),
        "ttft_ms": _first_token(span),
        "status": "error" if error else "ok",
        "error_type": (span.error_type() or _class_of(span) or "error") if error else None,
    }),)  # fmt: skip


def _class_of(span: Span) -> str | None:
    return named_error(None, span.get("langfuse.observation.status_message"))


def _first_token(span: Span) -> float | None:
    begun = micros(span.get("langfuse.observation.completion_start_time"))
    return None if begun is None else millis(begun / 1_000 - span.start / 1_000_000)
