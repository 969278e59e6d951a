"""The fields of a call event as types for applications; `record.call.CallEvent` explains and checks them."""

from datetime import datetime
from typing import Literal, Required, TypedDict


class GuardrailFields(TypedDict, total=False):
    """The verdict of one guardrail."""

    name: Required[str]
    verdict: Required[Literal["pass", "flag", "fix", "block"]]
    score: float | None


class RetrievalFields(TypedDict, total=False):
    """The result of a search. documents 0: it found nothing."""

    documents: Required[int]
    top_score: float | None
    latency_ms: float | None
    source: str | None


class ToolFields(TypedDict, total=False):
    """A tool that the answer requests."""

    name: Required[str]
    arguments_hash: str | None


class EmbeddingFields(TypedDict):
    """A vector and the model that made it: numbers, or base64 of little-endian float32."""

    model: str
    vector: list[float] | str


class CallFields(TypedDict, total=False):
    """One LLM call. ts: RFC 3339 with offset, a datetime with a time zone, or milliseconds since 1970."""

    schema_version: int
    id: Required[str]
    ts: Required[datetime | str | int]
    operation: Literal[
        "chat", "completion", "embedding", "rerank", "image", "audio", "moderation",
        "retrieval", "tool", "guardrail", "evaluation", "agent", "outcome",
    ]  # fmt: skip
    model: Required[str]
    requested_model: str | None
    provider: str | None
    environment: str | None
    app: str | None
    team: str | None
    tenant: str | None
    user: str | None
    session: str | None
    key: str | None
    agent: str | None
    prompt_name: str | None
    prompt_version: str | None
    trace_id: str | None
    span_id: str | None
    parent_id: str | None
    response_id: str | None
    instrumentor: str | None
    tags: dict[str, str] | None
    input_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    images: int | None
    service_tier: Literal["default", "standard", "batch", "flex", "priority", "fast", "other"] | None
    cost_usd: float | None
    latency_ms: float | None
    ttft_ms: float | None
    stream: bool | None
    cache_hit: bool | None
    status: Literal["ok", "error"]
    error_type: str | None
    finish_reason: str | None
    toxicity: float | None
    scores: dict[str, float] | None
    guardrails: list[GuardrailFields] | None
    retrieval: RetrievalFields | None
    tools: list[ToolFields] | None
    embedding: EmbeddingFields | None
    input_text: str | None
    output_text: str | None
    target_id: str | None
    annotator: str | None
    labelled: str | None
    cached_audio_tokens: int | None
    image_input_tokens: int | None
    image_output_tokens: int | None
    input_bytes: int | None
    output_bytes: int | None
    max_output_tokens: int | None
    outcome: str | None
