"""Reads LiteLLM's `StandardLoggingPayload`, which its callbacks and its proxy write."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final, TypeVar

import msgspec

from llmvitals import texts
from llmvitals.errors import Code, bad
from llmvitals.ingest import answers
from llmvitals.ingest.events import STOPPED, litellm_verdict
from llmvitals.ingest.values import (
    Context,
    Decoded,
    Format,
    call,
    dollars,
    event_id,
    first,
    flag,
    identity,
    millis,
    moment,
)
from llmvitals.lengths import LENGTHS, is_metered
from llmvitals.lenient import bare_model, count, listed, mapping, number, text, tier
from llmvitals.litellm_calls import is_call, lengths_of, operation_of, usage_in
from llmvitals.usage import known, of_total

_DIMENSIONS: Final = ("team", "app", "environment", "tenant", "agent")
_NOBODY: Final = "default_user_id"
"""What LiteLLM's proxy writes for keys without a user."""
_INSTRUMENTOR: Final = "litellm.logging"


_EARLY: Final = ("id", "startTime", "response_cost", "hidden_params")
_BEGINNING: Final = 1_000
"""Bytes within which a payload has its call's id."""


_Odd = list[Any] | str | float | int | bool | None
"""What may be found in the place of an object."""


class _Metadata(msgspec.Struct):
    user_api_key_team_alias: Any = None
    user_api_key_user_id: Any = None
    user_api_key_alias: Any = None
    user_api_key_hash: Any = None
    prompt_management_metadata: Any = None
    usage_object: Any = None


class _Model(msgspec.Struct):
    # Of `hidden_params`.
    litellm_model_name: Any = None


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    choices: Any = None
    output: Any = None
    service_tier: Any = None
    meta: Any = None


class _Payload(msgspec.Struct):
    # Typed only as far as needed: most of a payload (the price map, texts) is skipped unread.
    call_type: Any
    litellm_call_id: Any = None
    id: Any = None
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
    metadata: _Metadata | _Odd = None
    response_cost: Any = None
    response_cost_failure_debug_info: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None
    request_tags: Any = None
    end_user: Any = None
    response: _Response | _Odd = None
    error_information: Any = None
    guardrail_information: Any = None
    hidden_params: _Model | _Odd = None
    text_lengths: Any = None


class _Texts(msgspec.Struct):
    messages: Any = None
    response: Any = None
    model_parameters: Any = None
    model_map_information: Any = None


_Part = TypeVar("_Part", bound=msgspec.Struct)
_DECODER: Final = msgspec.json.Decoder(_Payload)
_TEXTS_DECODER: Final = msgspec.json.Decoder(_Texts)


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is a payload of LiteLLM. Those of 2025 have no id of the call."""
    return "call_type" in names and ("litellm_call_id" in names or all(name in names for name in _EARLY))


def likely(value: bytes) -> bool:
    """Whether a record begins like a payload of LiteLLM. It costs less than to parse it; `knows` decides."""
    return value.find(b'"litellm_call_id"', 0, _BEGINNING) >= 0


def read(value: bytes, context: Context) -> Decoded:
    """Decode a payload. Raises BadCall."""
    try:
        payload = _DECODER.decode(value)
    except msgspec.ValidationError as error:
        raise bad(Code.INVALID, f"Not a LiteLLM payload: {str(error).partition(' - at ')[2]}") from None
    end, start = number(payload.endTime), number(payload.startTime)
    if end is None:
        raise bad(Code.INVALID, "endTime: is not a number of seconds")
    response = _known(payload.response, _Response)
    fields = (
        _who(payload) | _usage(payload, response) | _outcome(payload, response) | _models(payload, response)
    )
    fields |= {
        "id": _id(payload, end),
        "ts": moment(round(end * 1_000_000), "endTime"),
        "operation": operation_of(payload.call_type),
        "service_tier": tier(response.service_tier) or tier(_usage_object(payload).get("service_tier")),
        "stream": flag(payload.stream),
        "cache_hit": flag(payload.cache_hit),
        # LiteLLM's own spans have the id of the call where there is none of an answer.
        "response_id": identity(response.id or _named(payload)),
        "instrumentor": _INSTRUMENTOR,
        "latency_ms": _between(start, end),
    }
    if payload.stream is True:
        fields["ttft_ms"] = _between(start, number(payload.completionStartTime))
    if payload.status == "failure" and fields["status"] == "ok":
        fields |= STOPPED | {"response_id": identity(_named(payload))}
    metered = is_metered(fields)
    if not is_call(payload.call_type, metered=metered):
        return Decoded([], filtered=1)
    if not metered:
        fields |= _lengths(payload, value)
    return Decoded([call(fields | (_texts(value) if context.texts else {}))])


def _known(value: Any, kind: type[_Part]) -> _Part:
    """The object; an empty one in the place of anything else."""
    return value if isinstance(value, kind) else kind()


def _named(payload: _Payload) -> Any:
    """The id of the call. The other one is that of the answer, and a cache hit repeats it."""
    return payload.litellm_call_id or payload.id


def _id(payload: _Payload, end: float) -> str | None:
    """LiteLLM gives all attempts of a request one id: a failed one has its time added, so each counts."""
    name = text(_named(payload))
    return event_id(name, str(round(end * 1_000_000))) if name and payload.status == "failure" else name


def _lengths(payload: _Payload, value: bytes) -> dict[str, int | None]:
    """As examples/litellm_hook.py has measured them, or those of the texts."""
    if isinstance(payload.text_lengths, dict):
        return {name: count(payload.text_lengths.get(name)) for name in LENGTHS}
    return lengths_of(msgspec.structs.asdict(_TEXTS_DECODER.decode(value)))


def _texts(value: bytes) -> dict[str, str | None]:
    """The last user message and the answer."""
    conversation = _TEXTS_DECODER.decode(value)
    choice = first(mapping(conversation.response).get("choices"))
    answer = choice.get("text")
    return {
        "input_text": texts.last_message(conversation.messages, "user"),
        "output_text": texts.plain(answer)
        if isinstance(answer, str)
        else texts.last_message([choice.get("message")]),
    }


FORMAT: Final = Format(knows, read)


def _models(payload: _Payload, response: _Response) -> dict[str, str | None]:
    """The model that answered, and the alias that was asked for.

    Behind a proxy the answer has the alias as its model, so that successes and failures would be told apart
    by name.
    """
    provider, alias = text(payload.custom_llm_provider), text(payload.model_group)
    deployed = text(_known(payload.hidden_params, _Model).litellm_model_name)
    asked = text(payload.model)
    names = (bare_model(deployed, provider), bare_model(asked, provider), text(response.model))
    return {
        "provider": provider,
        "model": next(filter(None, names), None) or "",
        "requested_model": alias or asked,
    }


def _between(start: float | None, end: float | None) -> float | None:
    return millis(round((end - start) * 1_000, 3)) if start is not None and end is not None else None


def _who(payload: _Payload) -> dict[str, Any]:
    metadata = _known(payload.metadata, _Metadata)
    tags = [tag.partition(":") for tag in listed(payload.request_tags) if isinstance(tag, str) and ":" in tag]
    named = {name[:128]: rest.strip()[:256] for name, _, rest in tags if name and name != "User-Agent"}
    prompt = mapping(metadata.prompt_management_metadata)
    who: dict[str, Any] = {name: text(named.pop(name, None)) for name in _DIMENSIONS}
    who |= {
        "team": text(metadata.user_api_key_team_alias) or who["team"],
        "user": text(payload.end_user) or _user(metadata),
        "session": text(payload.session_id) or text(payload.trace_id),
        "key": text(metadata.user_api_key_alias) or text(metadata.user_api_key_hash),
        "trace_id": text(payload.trace_id),
        "prompt_name": text(prompt.get("prompt_id")),
        "prompt_version": text(prompt.get("prompt_version")),
        "tags": dict(list(named.items())[:16]) or None,
    }
    return who


def _user(metadata: _Metadata) -> str | None:
    name = text(metadata.user_api_key_user_id)
    return None if name == _NOBODY else name


def _usage_object(payload: _Payload) -> Mapping[str, Any]:
    return mapping(_known(payload.metadata, _Metadata).usage_object)


def _usage(payload: _Payload, response: _Response) -> dict[str, Any]:
    # LiteLLM writes 0 for what it does not know.
    totals = {"input_tokens": count(payload.prompt_tokens), "output_tokens": count(payload.completion_tokens)}
    operation = operation_of(payload.call_type)
    usage = (
        usage_in(_usage_object(payload), operation, text(payload.custom_llm_provider))
        or of_total(known(totals), count(payload.total_tokens), operation)
        or answers.usage_in({"meta": response.meta}, operation)  # of ranks, which have no usage
    )
    if not usage:
        return {"cost_usd": dollars(payload.response_cost)}  # such as of speech, by its characters
    # Either may leave the cache out of the input.
    whole = usage | {name: max(told, usage.get(name) or 0) for name, told in totals.items() if told}
    if payload.response_cost_failure_debug_info:
        return whole
    return {**whole, "cost_usd": dollars(payload.response_cost, free=True)}


def _outcome(payload: _Payload, response: _Response) -> dict[str, Any]:
    choice = first(response.choices)
    message = mapping(choice.get("message"))
    guardrails = _guardrails(payload.guardrail_information)
    failed = payload.status == "failure"
    blocked = any(guardrail["verdict"] == "block" for guardrail in guardrails)
    return {
        # A call that a guardrail stopped is counted as blocked, not as failed.
        "status": "error" if failed and not blocked else "ok",
        "error_type": text(mapping(payload.error_information).get("error_class"), 256) if failed else None,
        "finish_reason": text(choice.get("finish_reason"), 256),
        "tools": answers.tools_of(response.output or message)
        if response.output or message.get("tool_calls")
        else None,
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
    return litellm_verdict(
        text(entry.get("guardrail_status")),
        entry.get("guardrail_response"),
        text(entry.get("guardrail_mode")),
    )
