"""Reads spans of LiteLLM's proxy in the layout of `LITELLM_OTEL_V2`.

They have GenAI's names, but an alias stands in place of the model, and one operation is that of many kinds of
requests. LiteLLM's own names tell both. What the proxy does beside a call has spans as well, and the proxy
puts on each of them who asked and for which model.
"""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import events, genai
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.values import dollars, identity
from llmvitals.lenient import text
from llmvitals.litellm_calls import is_call, operation_of

_SCOPE: Final = "litellm"
_TYPE: Final = "litellm.call_type"
_GUARDRAIL: Final = "litellm.guardrail.name"
_ALIAS: Final = "gen_ai.request.model"


def read(span: Span) -> tuple[Reading, ...] | None:
    """A call of a model, or the verdict of a guardrail."""
    if span.scope != _SCOPE:
        return None
    if span.has(_GUARDRAIL):
        return _guardrail(span)
    return _call(span) if span.has(_TYPE) else None


def is_handed_on(span: Span, told: list[str]) -> bool:
    """Whether these attributes of a span are what LiteLLM's proxy puts on every span of a request."""
    return told == [_ALIAS] and span.has("litellm.api_key.hash")


def _guardrail(span: Span) -> tuple[Reading, ...]:
    status = span.text("litellm.guardrail.status")
    if status == "not_run":
        return NOTHING
    response, mode = span.structure("litellm.guardrail.response"), span.text("litellm.guardrail.mode")
    return events.guardrail(span, span.text(_GUARDRAIL), events.litellm_verdict(status, response, mode))


def _call(span: Span) -> tuple[Reading, ...]:
    kind = span.get(_TYPE)
    operation = operation_of(kind)
    fields = genai.model_call(span, operation)
    if not is_call(kind, metered=fields.get("input_tokens") is not None):
        return NOTHING
    provider, model = _routed(span, fields["provider"])
    return (Reading("embedding" if operation == "embedding" else "llm", fields | {
        "provider": provider,
        "model": model or fields["model"],
        "requested_model": span.text(_ALIAS),
        # As its callback, which has the id of the call where there is none of an answer.
        "response_id": fields["response_id"] or identity(span.get("litellm.call_id")),
        "cost_usd": dollars(span.get("litellm.cost.total")),
        "stream": True if span.flag("litellm.request.streaming") else None,
    }),)  # fmt: skip


def _routed(span: Span, provider: str | None) -> tuple[str | None, str | None]:
    """The provider and the model by the names that LiteLLM's callbacks have for them.

    GenAI's name of a provider, such as gcp.gemini, has LiteLLM's in it.
    """
    name = span.text("litellm.provider.model")
    prefix, slash, rest = (name or "").partition("/")
    if slash and provider and prefix.replace("_", "") in provider.replace("_", ""):
        return prefix, text(rest)
    return provider, name


DIALECT: Final = Dialect(("litellm.",), read, genai.read_texts, genai.read_lengths)
