"""Reads LiteLLM's `StandardLoggingPayload`, which its callbacks and its proxy write."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final

import msgspec

from llmvitals.errors import Code
from llmvitals.ingest import texts
from llmvitals.ingest.values import (
    Decoded,
    Format,
    bad,
    call,
    count,
    flag,
    identity,
    listed,
    mapping,
    millis,
    moment,
    number,
    text,
    tier,
)

_OPERATIONS: Final = {
    "completion": "chat",
    "text_completion": "completion",
    "embedding": "embedding",
    "rerank": "rerank",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "transcription": "audio",
    "speech": "audio",
    "moderation": "moderation",
    "search": "retrieval",
    "vector_store_search": "retrieval",
    "call_mcp_tool": "tool",
}
"""call_type, without the `a` of asynchronous ones → operation. Other types are chat."""

_DIMENSIONS: Final = ("team", "app", "environment", "tenant", "agent")
_INSTRUMENTOR: Final = "litellm.logging"


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    choices: Any = None
    service_tier: Any = None


class _Payload(msgspec.Struct):
    # Typed only as far as needed: most of a payload (the price map, texts) is skipped unread.
    litellm_call_id: Any
    call_type: Any
    trace_id: Any = None
    session_id: Any = None
    cache_hit: Any = None
    stream: Any = None
    status: Any = None
    custom_llm_provider: Any = None
    startTime: Any = None  # noqa: N815 - LiteLLM's names
    endTime: Any = None  # noqa: N815
    completionStartTime: Any = None  # noqa: N815
    model: Any = None
    model_group: Any = None
    metadata: Any = None
    response_cost: Any = None
    response_cost_failure_debug_info: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    request_tags: Any = None
    end_user: Any = None
    response: _Response | list[Any] | str | None = None
    error_information: Any = None
    guardrail_information: Any = None


class _Texts(msgspec.Struct):
    messages: Any = None
    response: Any = None


_DECODER: Final = msgspec.json.Decoder(_Payload)
_TEXTS_DECODER: Final = msgspec.json.Decoder(_Texts)


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is a payload of LiteLLM."""
    return "litellm_call_id" in names and "call_type" in names


def read(value: bytes) -> Decoded:
    """Decode a payload. Raises BadCall."""
    try:
        payload = _DECODER.decode(value)
    except msgspec.ValidationError as error:
        raise bad(Code.INVALID, f"Not a LiteLLM payload: {str(error).partition(' - at ')[2]}") from None
    end, start = number(payload.endTime), number(payload.startTime)
    if end is None:
        raise bad(Code.INVALID, "endTime: is not a number of seconds")
    response = payload.response if isinstance(payload.response, _Response) else _Response()
    fields = _who(payload) | _usage(payload) | _outcome(payload, response)
    fields |= {
        "id": text(payload.litellm_call_id),
        "ts": moment(round(end * 1_000_000), "endTime"),
        "operation": _operation(payload.call_type),
        "model": text(response.model) or text(payload.model) or "",
        "requested_model": text(payload.model_group) or text(payload.model),
        "provider": text(payload.custom_llm_provider),
        "service_tier": tier(response.service_tier) or tier(_usage_object(payload).get("service_tier")),
        "stream": flag(payload.stream),
        "cache_hit": flag(payload.cache_hit),
        "response_id": identity(response.id),
        "instrumentor": _INSTRUMENTOR,
        "latency_ms": _between(start, end),
    }
    if payload.stream is True:
        fields["ttft_ms"] = _between(start, number(payload.completionStartTime))
    return Decoded([call(fields)])


def read_with_texts(value: bytes) -> Decoded:
    """Decode a payload with its last user message and the answer. Raises BadCall."""
    calls, filtered = read(value)
    conversation = _TEXTS_DECODER.decode(value)
    choice = mapping(next(iter(listed(mapping(conversation.response).get("choices"))), None))
    answer = choice.get("text")
    return Decoded(
        [
            msgspec.structs.replace(  # type: ignore[type-var] # a Struct at run time
                decoded,
                input_text=texts.last_message(conversation.messages, "user"),
                output_text=texts.plain(answer)
                if isinstance(answer, str)
                else texts.last_message([choice.get("message")]),
            )
            for decoded in calls
        ],
        filtered,
    )


FORMAT: Final = Format(knows, read, read_with_texts)


def _operation(call_type: Any) -> str:
    kind = call_type if isinstance(call_type, str) else ""
    return _OPERATIONS.get(kind) or _OPERATIONS.get(kind.removeprefix("a"), "chat")


def _between(start: float | None, end: float | None) -> float | None:
    return millis(round((end - start) * 1_000, 3)) if start is not None and end is not None else None


def _who(payload: _Payload) -> dict[str, Any]:
    metadata = mapping(payload.metadata)
    tags = [tag.partition(":") for tag in listed(payload.request_tags) if isinstance(tag, str) and ":" in tag]
    named = {name[:128]: rest.strip()[:256] for name, _, rest in tags if name and name != "User-Agent"}
    prompt = mapping(metadata.get("prompt_management_metadata"))
    who: dict[str, Any] = {name: text(named.pop(name, None)) for name in _DIMENSIONS}
    who |= {
        "team": text(metadata.get("user_api_key_team_alias")) or who["team"],
        "user": text(payload.end_user) or text(metadata.get("user_api_key_user_id")),
        "session": text(payload.session_id) or text(payload.trace_id),
        "key": text(metadata.get("user_api_key_alias")) or text(metadata.get("user_api_key_hash")),
        "trace_id": text(payload.trace_id),
        "prompt_name": text(prompt.get("prompt_id")),
        "prompt_version": text(prompt.get("prompt_version")),
        "tags": dict(list(named.items())[:16]) or None,
    }
    return who


def _usage_object(payload: _Payload) -> Mapping[str, Any]:
    return mapping(mapping(payload.metadata).get("usage_object"))


def _usage(payload: _Payload) -> dict[str, Any]:
    usage = _usage_object(payload)
    input_tokens, output_tokens = count(payload.prompt_tokens), count(payload.completion_tokens)
    # LiteLLM writes 0 for unknown counts; they are known only if there is a usage object.
    if not usage and not input_tokens and not output_tokens:
        return {}
    input_details, output_details = (
        mapping(usage.get(f"{side}_tokens_details")) for side in ("prompt", "completion")
    )
    written = mapping(input_details.get("cache_creation_token_details"))
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_tokens": _first(input_details.get("cached_tokens"), usage.get("cache_read_input_tokens")),
        "cache_write_tokens": _first(
            usage.get("cache_creation_input_tokens"), input_details.get("cache_creation_tokens")
        ),
        "cache_write_1h_tokens": count(written.get("ephemeral_1h_input_tokens")),
        "reasoning_tokens": count(output_details.get("reasoning_tokens")),
        "audio_input_tokens": count(input_details.get("audio_tokens")),
        "audio_output_tokens": count(output_details.get("audio_tokens")),
        "cost_usd": None if payload.response_cost_failure_debug_info else _dollars(payload.response_cost),
    }


def _dollars(value: Any) -> float | None:
    cost = number(value)
    return cost if cost is not None and 0 <= cost <= 10_000 else None


def _first(*values: Any) -> int | None:
    return next((known for known in map(count, values) if known is not None), None)


def _outcome(payload: _Payload, response: _Response) -> dict[str, Any]:
    choice = mapping(next(iter(listed(response.choices)), None))
    requested = listed(mapping(choice.get("message")).get("tool_calls"))
    names = [text(mapping(mapping(tool).get("function")).get("name")) for tool in requested]
    guardrails = _guardrails(payload.guardrail_information)
    failed = payload.status == "failure"
    blocked = any(guardrail["verdict"] == "block" for guardrail in guardrails)
    return {
        # A call that a guardrail stopped is counted as blocked, not as failed.
        "status": "error" if failed and not blocked else "ok",
        "error_type": text(mapping(payload.error_information).get("error_class"), 256) if failed else None,
        "finish_reason": text(choice.get("finish_reason"), 256),
        "tools": [{"name": name} for name in names if name] or None,
        "guardrails": guardrails or None,
    }


def _guardrails(value: Any) -> list[dict[str, str]]:
    entries = value if isinstance(value, list) else [value]
    return [
        {"name": text(entry.get("guardrail_name")) or "guardrail", "verdict": _verdict(entry)}
        for entry in map(mapping, entries)
        if entry and entry.get("guardrail_status") != "not_run"
    ]


def _verdict(entry: Mapping[str, Any]) -> str:
    status = entry.get("guardrail_status")
    # Lakera reports a block as a success with `flagged`.
    flagged = mapping(entry.get("guardrail_response")).get("flagged") is True
    if flagged or status in ("guardrail_intervened", "blocked"):
        return "block"
    return "pass" if status == "success" else "flag"
