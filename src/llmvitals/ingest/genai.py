"""Reads spans by OpenTelemetry's GenAI conventions: the current names, those of v1.41 and older ones.

OpenLLMetry, Traceloop, Weave, PromptLayer and LiteLLM's own spans use these names as well.
"""

from __future__ import annotations

from typing import Any, Final

from llmvitals import texts
from llmvitals.ingest import events, genai_answer
from llmvitals.ingest.events import STOPPED
from llmvitals.ingest.genai_usage import INPUT, OUTPUT, TOTAL, usage
from llmvitals.ingest.span import NOTHING, Dialect, Kind, Reading, Span
from llmvitals.ingest.span_lengths import SpanLengths
from llmvitals.ingest.values import dollars, embeds, identity, millis, structure
from llmvitals.lengths import output_limit
from llmvitals.lenient import bare_model, count, listed, mapping, tier
from llmvitals.usage import usage_of

_PREFIXES: Final = ("gen_ai.", "llm.", "traceloop.")

OPERATIONS: Final = {
    "chat": "chat",
    "generate_content": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "text_completion": "completion",
    "completion": "completion",
    "acompletion": "chat",
    "embeddings": "embedding",
    "embedding": "embedding",
    "rerank": "rerank",
    "moderation": "moderation",
    "image_generation": "image",
    "transcription": "audio",
    "speech": "audio",
    "image": "image",
    "audio": "audio",
}
"""gen_ai.operation.name, without the `a` of LiteLLM's asynchronous calls → operation."""
_RETRIEVALS: Final = ("retrieval", "vector_db_retrieve")
_NO_EVENTS: Final = (
    "invoke_agent", "create_agent", "invoke_workflow", "execute_task", "guardrails", "workflow", "task",
    "chain", "plan", "evaluation", "execute_event_loop_cycle",
)  # fmt: skip
_TIERS: Final = (
    "openai.response.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier",
    "anthropic.response.service_tier",
)  # fmt: skip
"""Of the answer. What the request asked for, such as `openai.request.service_tier`, sets no price."""
_EVIDENCE: Final = (
    *INPUT, *OUTPUT, *TOTAL, "gen_ai.response.id", "llm.response.id", "gen_ai.response.finish_reasons",
    "gen_ai.response.time_to_first_chunk", "rpc.method",
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt", "gen_ai.completion",
    "gen_ai.prompt.0.role", "gen_ai.prompt.0.content",
    "gen_ai.completion.0.role", "gen_ai.completion.0.content", "gen_ai.completion.0.finish_reason",
)  # fmt: skip
"""A call has one of these or an error; a span without is only a wrapper around another one.

Of a stream that was closed early only the first chunk is known, or what the AWS SDK was asked for.
"""
_VECTOR: Final = "traceloop.entity.output"
"""All that OpenLLMetry's LlamaIndex instrumentor tells of an embedding; chains have it as well."""
_MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model")
_NO_MODEL: Final = "unknown"
_LANGCHAIN_MODEL: Final = "traceloop.association.properties.ls_model_name"
"""Where OpenLLMetry's LangChain instrumentor has the model of a provider that it does not know."""
_OTHERS: Final = ("anthropic.message.count_tokens.input_tokens", "event_loop.cycle_id")
"""Anthropic's SDK has asked how many tokens a request would have; a cycle of a Strands agent."""
_FIRST_CHUNK: Final = ("llm.content.completion.chunk", "gen_ai.content.completion.chunk")
_LITELLM: Final = "litellm"
_BEDROCK: Final = "aws.bedrock"
_OF_BEDROCK: Final = "opentelemetry.instrumentation.bedrock"
_FRAMEWORKS: Final = frozenset(
    (
        "langchain",
        "langgraph",
        "llamaindex",
        "llama_index",
        "agno",
        "crewai",
        "haystack",
        "autogen",
        "strands-agents",
        "gcp.vertex.agent",
    )
)
"""Write their own name where the provider's belongs, which is then unknown."""
_COST: Final = ("gen_ai.cost.total_cost", "gen_ai.usage.cost", "operation.cost")


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a span with GenAI attributes tells of."""
    kind, operation = _operation(span)
    if kind is None:
        return NOTHING if operation or span.scope == _LITELLM else None
    if kind == "tool":
        return events.tool(span, span.text("gen_ai.tool.name", "traceloop.entity.name"))
    if kind == "retrieval":
        return _retrieval(span)
    proven = span.is_error or span.has(*_EVIDENCE) or (kind == "embedding" and span.has(_VECTOR))
    if not (proven or dollars(span.get(*_COST))):
        return NOTHING
    return (Reading(kind, model_call(span, operation)),)


def read_texts(span: Span) -> dict[str, str | None]:
    """The last user message and the answer, from attributes with messages or with one text each."""
    prompt, place = None, 0
    while (role := span.text(f"gen_ai.prompt.{place}.role")) is not None:
        prompt = span.get(f"gen_ai.prompt.{place}.content") if role == "user" else prompt
        place += 1
    answer = span.get("gen_ai.completion.0.content")
    return {
        "input_text": texts.last_message(span.get("gen_ai.input.messages"), "user") or _content(prompt),
        "output_text": texts.last_message(span.get("gen_ai.output.messages")) or _content(answer),
    }


def _content(value: Any) -> str | None:
    return texts.plain(value) if isinstance(value, str) else None


_LENGTHS: Final = SpanLengths(
    inputs=r"gen_ai\.(input\.messages|system_instructions|prompt\.\d+\..+)",
    outputs=r"gen_ai\.(output\.messages|completion\.\d+\..+)",
    tools=r"gen_ai\.tool\.definitions|llm\.request\.functions\.\d+\..+",
)


def read_lengths(span: Span) -> dict[str, int | None]:
    """The bytes of the texts, and the output limit."""
    limit, answers = span.get("gen_ai.request.max_tokens"), span.get("gen_ai.request.choice.count")
    return _LENGTHS.of(span) | {"max_output_tokens": output_limit({"max_tokens": limit, "n": answers})}


DIALECT: Final = Dialect(_PREFIXES, read, read_texts, read_lengths)


def operation_of(name: str | None) -> str | None:
    """The operation of a model that this call type names; None if it names none."""
    kind = (name or "").lower()
    return OPERATIONS.get(kind) or OPERATIONS.get(kind.removeprefix("a"))


def _operation(span: Span) -> tuple[Kind | None, str]:
    """The kind of a span and its operation. None and "": nothing tells; None and a name: no event."""
    # LiteLLM calls all that it does a chat by the newest conventions.
    own = span.text("llm.request.type") if span.scope == _LITELLM else None
    name = (
        own or span.text("gen_ai.operation.name", "llm.request.type", "gen_ai.request.type") or ""
    ).lower()
    if operation := operation_of(name):
        # Instrumentors of Bedrock take every request to its older interface for a completion.
        is_embedding = operation == "embedding" or (operation == "completion" and _embeds(span))
        return ("embedding", "embedding") if is_embedding else ("llm", operation)
    if name == "execute_tool" or (not name and span.text("traceloop.span.kind") == "tool"):
        return "tool", "tool"
    if name in _RETRIEVALS:
        return "retrieval", "retrieval"
    if name in _NO_EVENTS:
        return None, name
    if span.has(*_OTHERS):
        return None, "other"
    if span.has(*INPUT, *OUTPUT) and span.has(*_MODELS):
        return ("embedding", "embedding") if _embeds(span) else ("llm", "chat")
    return None, span.text("traceloop.span.kind") or ""


def _embeds(span: Span) -> bool:
    return embeds(span.text(*_MODELS))


def model_call(span: Span, operation: str) -> dict[str, Any]:
    """The fields of a call of a model."""
    provider = _provider(span)
    model, requested = _models(span, provider)
    choice, stream = genai_answer.choice(span), _stream(span)
    cost = dollars(span.get(*_COST))
    return events.outcome(span) | {
        "operation": operation,
        "response_id": _response_id(span, operation),
        "model": model or "",
        "requested_model": requested,
        "provider": provider,
        "service_tier": _tier(span),
        "stream": stream,
        # OpenLIT has it of answers in one piece as well, when they were there.
        "ttft_ms": None if stream is False else _first_token(span),
        "finish_reason": genai_answer.finish_reason(span) or choice.get("finish_reason"),
        "cost_usd": cost,
        "cache_hit": True if span.flag("llm.cache.hit") or (cost is None and _is_cache_hit(span)) else None,
        "tools": genai_answer.requested_tools(span) or choice.get("tools"),
        "scores": _scores(span),
    } | usage(span, provider, operation) | (_stopped(span) if _is_blocked(span) else {})  # fmt: skip


def _response_id(span: Span, operation: str) -> str | None:
    # Images have no id: OpenLIT writes the second in which they came, LiteLLM the id of its call.
    has_none = operation == "image" and span.scope != _LITELLM
    return None if has_none else identity(span.get("gen_ai.response.id", "llm.response.id"))


def _provider(span: Span) -> str | None:
    name = (span.text("gen_ai.provider.name", "gen_ai.system") or "").lower()
    if name and name != _LITELLM:
        # Early versions of the instrumentor write who made the model, as if Meta had answered.
        return None if name in _FRAMEWORKS else _BEDROCK if span.scope == _OF_BEDROCK else name
    routed = (span.text("litellm.provider.model", "gen_ai.request.model") or "").partition("/")
    return routed[0] if routed[1] else None


def _models(span: Span, provider: str | None) -> tuple[str | None, str | None]:
    """The model that answered, and the one that was asked for. Behind a gateway the latter is an alias."""
    names = (span.text("gen_ai.request.model"), span.text("gen_ai.response.model"))
    requested, answered = (None if name == _NO_MODEL else name for name in names)
    if names[0] == _NO_MODEL:
        requested = span.text(_LANGCHAIN_MODEL)
    alias = span.text("litellm.model_group")
    if alias is not None:
        routed = bare_model(span.text("litellm.provider.model"), provider)
        real = [name for name in (routed, requested, answered) if name and name != alias]
        return (real[0] if real else alias), alias
    if answered and requested and requested.startswith(f"{answered}-"):
        answered = requested  # the answer leaves the date of the version out
    return bare_model(answered or requested, provider), requested


_STREAMS: Final = (
    "gen_ai.request.stream", "llm.is_streaming", "gen_ai.is_streaming", "langsmith.request.streaming",
    "gen_ai.request.is_stream", "gen_ai.request.streaming",
)  # fmt: skip


def _tier(span: Span) -> str | None:
    told = span.get(*_TIERS)
    # OpenLIT writes LiteLLM's fingerprint there.
    return None if told is None or told == span.get("gen_ai.response.system_fingerprint") else tier(told)


def _stream(span: Span) -> bool | None:
    value = span.get(*_STREAMS)
    return (
        {"True": True, "False": False}.get(value)
        if isinstance(value, str)
        else value is True or (False if value is False else None)
    )


def _first_token(span: Span) -> float | None:
    seconds = span.number("gen_ai.response.time_to_first_chunk", "gen_ai.streaming.time_to_first_token")
    if seconds is None and (told := span.number("gen_ai.server.time_to_first_token")) is not None:
        # Strands Agents writes milliseconds, which as seconds are after the end.
        seconds = told / 1_000 if told * 1e9 > span.end - span.start >= told * 1e6 else told
    return millis(seconds * 1_000) if seconds is not None else span.since_start(*_FIRST_CHUNK)


def _is_cache_hit(span: Span) -> bool:
    """Whether LiteLLM answered from its cache: it tells the key then, and gives no cost."""
    hidden = span.get("hidden_params") if span.scope == _LITELLM else None
    return isinstance(hidden, str) and bool(mapping(structure(hidden)).get("cache_key"))


def _stopped(span: Span) -> dict[str, Any]:
    return STOPPED | {"response_id": identity(span.get("litellm.call_id"))}


def _is_blocked(span: Span) -> bool:
    """Whether LiteLLM's proxy reports a request that a guardrail stopped before any model was called."""
    if span.scope != _LITELLM or not span.is_error or not span.has("metadata.applied_guardrails"):
        return False
    message = span.get("error.message")
    used = any(usage_of(span.structure("metadata.usage_object")).values())
    return not used and isinstance(message, str) and "guardrail" in message.lower()


def _retrieval(span: Span) -> tuple[Reading, ...]:
    output = mapping(span.structure("gen_ai.task.output", "traceloop.entity.output"))
    documents = listed(span.structure("gen_ai.retrieval.documents")) or listed(output.get("documents"))
    size = count(output.get("count"))
    known_size = len(documents) if size is None and (documents or "documents" in output) else size
    source = span.text("traceloop.association.properties.ls_vector_store_provider", "gen_ai.data_source.id")
    return events.retrieval(span, known_size, events.document_scores(documents), source)


def _scores(span: Span) -> dict[str, float] | None:
    scores = {}
    for event in span.events:
        if event.name.startswith(events.EVALUATED):
            told = {key: span.plain(value) for key, value in event.attributes.items()}
            name, score = events.judgement(event.name, told) or ("", None)
            if score is not None:
                scores[name] = score
    return scores or None
