"""Reads spans by the OpenInference conventions of Arize Phoenix, which many instrumentors write."""

from __future__ import annotations

from typing import Any, Final

from llmvitals.ingest import answers, events, genai
from llmvitals.ingest.openinference_scores import evaluations, scores
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.span_lengths import SpanLengths
from llmvitals.ingest.values import dollars, embeds, event_id, identity
from llmvitals.lengths import output_limit
from llmvitals.lenient import bare_model, mapping, number, text
from llmvitals.usage import Cache, Usage, add_up, by_total, known, of_total

_KIND: Final = "openinference.span.kind"
_INPUT: Final = "llm.token_count.prompt"
_OUTPUT: Final = "llm.token_count.completion"
_TOTAL: Final = "llm.token_count.total"
_EVIDENCE: Final = (_INPUT, _OUTPUT, _TOTAL, "llm.prompts", "llm.finish_reason")
_MESSAGES: Final = ("llm.input_messages.", "llm.output_messages.")
_VECTOR: Final = "embedding.embeddings.0.embedding."
_FIRST_TOKEN: Final = "First Token Stream Event"  # noqa: S105 - the name of an event
_NO_MODEL: Final = "unknown"
_TOOL_NAME: Final = ".tool_call.function.name"
_SCORED: Final = ("LLM", "DECISION", "EVALUATOR")
"""The kinds whose own events have the judgements on their spans."""
_LITELLM: Final = ".litellm"
"""The end of the scope whose models are `provider/model`."""
_RENAMED: Final = frozenset(("bedrock", "gemini", "mistral", "oci", "vertex_ai"))
"""LiteLLM's prefixes of providers that have another name in OpenInference."""
_BEDROCK: Final = ".bedrock"
"""The end of the scope of Bedrock's instrumentor."""
_AGNO: Final = ".agno"
"""The end of the scope of Agno's, which leaves the cache out of Anthropic's and Bedrock's input."""
_DISJOINT: Final = ("anthropic", "aws")
"""The beginnings of their names."""
_OPENAI: Final = ".openai"
"""The end of the scope of the SDK's, of which every span is a request."""
_OPERATION: Final = "gen_ai.operation.name"


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a span of a kind of OpenInference tells of."""
    kind = (span.text(_KIND) or "").upper()
    reader = _READERS.get(kind)
    if reader is None:
        return evaluations(span) if kind else None
    found = reader(span)
    return found if kind in _SCORED else found + evaluations(span)


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer."""
    prompt = None
    for item in span.item_names("llm.input_messages"):
        if span.text(f"{item}.message.role") == "user":
            prompt = _content(span, item) or prompt
    answers = [_content(span, item) for item in span.item_names("llm.output_messages")]
    return {"input_text": prompt, "output_text": next(filter(None, answers), None)}


_LENGTHS: Final = SpanLengths(
    inputs=r"llm\.(input_messages|prompts)\.\d+\..+|embedding\.embeddings\.\d+\.embedding\.text",
    outputs=r"llm\.output_messages\.\d+\..+",
    tools=r"llm\.tools\.\d+\.tool\.json_schema",
)


def read_lengths(span: Span) -> dict[str, int | None]:
    """The bytes of the texts, and the output limit."""
    asked = mapping(span.structure("llm.invocation_parameters"))
    return _LENGTHS.of(span) | {"max_output_tokens": output_limit(asked)}


DIALECT: Final = Dialect(("openinference.", "llm."), read, read_texts, read_lengths)


def _content(span: Span, item: str) -> str | None:
    content = span.get(f"{item}.message.content", f"{item}.message.contents.0.message_content.text")
    return content if isinstance(content, str) and content else None


def _llm(span: Span) -> tuple[Reading, ...]:
    # Every span has an input and an output: only what a model's answer brings makes a call of it.
    proven = span.has(*_EVIDENCE) or any(name.startswith(_MESSAGES) for name in span.attributes)
    other = None if proven else _other_operation(span)
    if not (proven or other or span.is_error):
        return NOTHING
    parameters = mapping(span.structure("llm.invocation_parameters"))
    requested = span.text("llm.request.model_name") or text(parameters.get("model"))
    output = span.structure("output.value")
    if isinstance(output, dict) and [*output] == ["input_tokens"]:
        return NOTHING  # Anthropic has counted the tokens of a request, which nobody bills
    answer = answers.fields_of(output)
    first_token = span.since_start(_FIRST_TOKEN)
    fields = _model(span, span.text("llm.response.model_name", "llm.model_name"), requested)
    fields["model"] = fields["model"] or answers.model_of(output) or ""
    fields |= answers.detailed_usage(output, usage(span)) | {
        "operation": other or "chat",
        "response_id": identity(span.get("llm.response.id")) or answer["response_id"],
        "service_tier": answer["service_tier"],
        "requested_model": requested,
        "ttft_ms": first_token,
        # A wrapper's False only says how the wrapper was set up.
        "stream": True if first_token is not None or parameters.get("stream") is True else None,
        "finish_reason": text(span.get("llm.finish_reason"), 256) or answer["finish_reason"],
        "cost_usd": dollars(span.get("llm.cost.total")),
        "tools": _tools(span) or answer["tools"],
        "scores": scores(span),
    }
    if embeds(fields["model"]):  # of Bedrock's older interface, whose requests are all of one kind
        return (Reading("embedding", fields | {"operation": "embedding", "output_tokens": None}),)
    return (Reading("llm", fields | _original(span)),)


def _other_operation(span: Span) -> str | None:
    """What OpenAI was asked for beside chats, by the request: no other attribute tells it."""
    if not (span.scope.endswith(_OPENAI) and span.has("output.value")):
        return None
    asked = mapping(span.structure("llm.invocation_parameters"))
    answer = mapping(span.structure("output.value"))
    if "results" in answer:
        return "moderation"
    if "voice" in asked or "text" in answer:
        return "audio"
    return "image" if "prompt" in asked else None


def _original(span: Span) -> dict[str, Any]:
    """What the GenAI attributes tell: a processor made fewer ones of OpenInference of them.

    OpenInference's own instrumentors do it the other way round (`enable_genai_semconv`).
    """
    if not span.has(_OPERATION) or "openinference" in span.scope:
        return {}
    kind, fields = next(iter(genai.read(span) or ()), (None, {}))
    return {name: value for name, value in fields.items() if value} if kind == "llm" else {}


def _decision(span: Span) -> tuple[Reading, ...]:
    """A model that answers typed questions with probabilities, and has names of its own."""
    tokens = {
        "input_tokens": span.count("decision.token_count.input"),
        "output_tokens": span.count("decision.token_count.output"),
    }
    requested = span.text("decision.request.model_name")
    model = span.text("decision.response.model_name", "decision.model_name") or requested
    if not (known(tokens) or span.is_error):
        return NOTHING
    return (Reading("llm", events.outcome(span) | known(tokens) | {
        "operation": "chat",
        "model": model or "",
        "requested_model": requested,
        "provider": (span.text("decision.provider", "decision.system") or "").lower() or None,
        "scores": scores(span),
    }),)  # fmt: skip


def _embedding(span: Span) -> tuple[Reading, ...]:
    if not (span.is_error or span.has(_INPUT, _TOTAL, f"{_VECTOR}vector", f"{_VECTOR}text")):
        return NOTHING
    parameters = mapping(span.structure("embedding.invocation_parameters"))
    model = span.text("embedding.model_name", "llm.model_name")
    fields = _model(span, model, text(parameters.get("model")))
    vector = span.get(f"{_VECTOR}vector")
    readable = isinstance(vector, list) and vector and all(number(item) is not None for item in vector)
    used = of_total(usage(span), span.count(_TOTAL), "embedding")
    used = used or answers.usage_in(mapping(span.structure("output.value")), "embedding")
    return (Reading("embedding", fields | used | {
        "operation": "embedding",
        "embedding": {"model": fields["model"] or "unknown", "vector": [float(x) for x in vector]}
        if readable and len(vector) <= _MAX_VECTOR else None,
    }),)  # fmt: skip


_MAX_VECTOR: Final = 4_096


def _model(span: Span, answered: str | None, requested: str | None) -> dict[str, Any]:
    """Who answered. A call that failed has only the model that was asked for."""
    name = requested if answered is None or answered == _NO_MODEL else answered
    provider = span.text("llm.provider", "llm.system")
    if name and "/" in name and span.scope.endswith(_LITELLM):
        prefix = name.partition("/")[0]
        if provider is None or prefix in _RENAMED:
            name, provider = bare_model(name, prefix), provider or prefix
    return events.outcome(span) | {
        "provider": provider.lower() if provider else None,
        "model": bare_model(name, provider) or "",
    }


def usage(span: Span) -> Usage:
    """The token counts of a span: the input has the cached ones in it."""
    details = "llm.token_count.prompt_details"
    read = span.count(f"{details}.cache_read", f"{details}.cache_input")
    written = span.count(f"{details}.cache_write")
    cache: Cache = read, written
    input_tokens, output_tokens, total = span.count(_INPUT), span.count(_OUTPUT), span.count(_TOTAL)
    if span.scope.endswith(_BEDROCK) and None not in (input_tokens, output_tokens, total):
        # Bedrock's output has the thoughts: what only the total has was read from or written to the cache.
        apart = (total or 0) - (input_tokens or 0) - (output_tokens or 0)
        cache = max(apart, (read or 0) + (written or 0)), None
    if span.scope.endswith(_AGNO) and (span.text("llm.provider") or "").lower().startswith(_DISJOINT):
        input_tokens = add_up(input_tokens, read, written)
    input_tokens, output_tokens = by_total(input_tokens, output_tokens, cache, total)
    return known({
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_tokens": read,
        "cache_write_tokens": written,
        "audio_input_tokens": span.count(f"{details}.audio"),
        "reasoning_tokens": span.count("llm.token_count.completion_details.reasoning"),
        "audio_output_tokens": span.count("llm.token_count.completion_details.audio"),
    })  # fmt: skip


def _tools(span: Span) -> list[dict[str, str]] | None:
    """The tools that the answer asks for; their executions are spans of their own."""
    names = [
        text(span.get(name))
        for name in span.attributes
        if name.startswith("llm.output_messages.") and ".tool_calls." in name and name.endswith(_TOOL_NAME)
    ]
    return [{"name": name} for name in names if name] or None


def _retrieval(span: Span) -> tuple[Reading, ...]:
    prefix = "reranker.output_documents" if span.has("reranker.model_name") else "retrieval.documents"
    items = [*span.item_names(prefix)]
    scores = [score for item in items if (score := number(span.get(f"{item}.document.score"))) is not None]
    source = text(mapping(span.structure("metadata")).get("ls_vector_store_provider"))
    if items:
        return events.retrieval(span, len(items), scores, source)
    output = span.structure("output.value")
    documents = events.documents_of(output)
    if documents and not any(isinstance(item, dict) for item in documents):
        return NOTHING  # an inner span, whose result the outer one has as documents
    return events.retrieval_of(span, output, source)


def _tool(span: Span) -> tuple[Reading, ...]:
    return events.tool(span, span.text("tool.name", "tool_call.function.name"))


def _guardrail(span: Span) -> tuple[Reading, ...]:
    name = span.text("guardrail_name", "guardrail.name")
    if not span.has("guardrail_status"):
        output = span.structure("output.value")
        return events.guardrail(span, name, events.verdict_of(output))
    if span.text("guardrail_status") == "not_run":
        return NOTHING
    verdict = events.litellm_verdict(
        span.text("guardrail_status"), span.structure("guardrail_response"), span.text("guardrail_mode")
    )
    # LiteLLM reports one of a failed request twice, with the same times.
    once = {"id": event_id(span.trace_id, str(span.start), str(span.end), name)}
    return tuple(Reading(kind, fields | once) for kind, fields in events.guardrail(span, name, verdict))


def _evaluator(span: Span) -> tuple[Reading, ...]:
    output = span.structure("output.value")
    found = []
    for entry in map(mapping, output if isinstance(output, list) else [output]):
        name, score = text(entry.get("name")), number(entry.get("score"))
        if name is not None and (score is not None or text(entry.get("label"), 256)):
            found.append(events.evaluation(name, score, text(entry.get("kind"))))
    return tuple(found)


_READERS: Final = {
    "LLM": _llm,
    "DECISION": _decision,
    "EMBEDDING": _embedding,
    "RETRIEVER": _retrieval,
    "RERANKER": _retrieval,
    "TOOL": _tool,
    "GUARDRAIL": _guardrail,
    "EVALUATOR": _evaluator,
}
