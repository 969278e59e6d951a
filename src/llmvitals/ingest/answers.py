"""Reads a model's answer as its provider or a framework wrote it.

Forms: OpenAI's chats and responses, Anthropic's and Bedrock's messages, LangChain's results, a message alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest.values import first, identity
from llmvitals.lenient import listed, mapping, text, tier
from llmvitals.usage import Usage, first_known, usage_of

_USAGES: Final = ("usage", "usage_metadata", "usageMetadata")
"""The latter ones are Google's."""
_REQUESTS: Final = ("function_call", "tool_use")
"""Types of the parts of an answer that ask for a tool: in OpenAI's responses, and in Anthropic's messages."""


def fields_of(output: Any) -> dict[str, Any]:
    """The fields of a call that an answer tells: its id and service tier, why it ended, tools it asks for."""
    answer = mapping(output)
    message, details = _message(answer)
    of_anthropic = mapping(answer.get("usage")).get("service_tier")
    return {
        "service_tier": tier(answer.get("service_tier") or details.get("service_tier") or of_anthropic),
        "response_id": identity(answer.get("id")) or identity(details.get("id"))
        or identity(answer.get("response_id")),
        "finish_reason": finish_reason(answer) or text(details.get("finish_reason"), 256)
        or text(answer.get("stop_reason") or details.get("stop_reason"), 256),
        "tools": _tools(output, message) or None,
    }  # fmt: skip


def usage_in(answer: Mapping[str, Any], operation: str | None = None) -> Usage:
    """The usage that an answer tells. Cohere's embeddings and ranks have it in `meta`, as Haystack's."""
    meta = mapping(answer.get("meta"))
    billed = usage_of(meta if "billed_units" in meta else meta.get("usage"), operation) if meta else {}
    told = next((answer[name] for name in _USAGES if answer.get(name)), None)
    return usage_of(told, operation) or billed


def detailed_usage(output: Any, usage: Usage) -> Usage:
    """The usage as the answer tells it, if it is of the same call: instrumentors leave parts of it out.

    Early versions leave the cached tokens out, and those of Anthropic out of the input as well.
    """
    answer = mapping(output)
    message, details = _message(answer)
    told = usage_in(answer) or usage_of(message.get("usage_metadata") or details.get("usage"))
    if not usage:
        return told
    same = told and told["output_tokens"] == usage.get("output_tokens")
    if not same or (told["input_tokens"] or 0) < (usage.get("input_tokens") or 0):
        return usage
    whole = {"input_tokens": told["input_tokens"]}
    return {name: first_known(usage.get(name), tokens) for name, tokens in told.items()} | whole


def tools_of(output: Any) -> list[dict[str, str]] | None:
    """The tools that an answer asks for; None without any."""
    return _tools(output, _message(mapping(output))[0]) or None


def finish_reason(answer: Mapping[str, Any]) -> str | None:
    """Why the first choice of an answer in OpenAI's form ended."""
    return text(first(answer.get("choices")).get("finish_reason"), 256)


def model_of(output: Any) -> str | None:
    """The model that an answer names."""
    answer = mapping(output)
    _, details = _message(answer)
    return text(answer.get("model")) or text(details.get("model_name") or details.get("model"))


def _message(answer: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The message of an answer, and what LangChain keeps beside it of the provider's answer."""
    if "generations" in answer:
        # A list for each prompt, but some systems write the only one.
        generations = answer["generations"]
        generation = first(next(iter(listed(generations)), None)) or first(generations)
        message = mapping(generation.get("message"))
        message = mapping(message.get("kwargs")) or message  # MLflow writes it without its class
        return message, mapping(message.get("response_metadata"))
    return mapping(first(answer.get("choices")).get("message")) or answer, {}


def _tools(output: Any, message: Mapping[str, Any]) -> list[dict[str, str]]:
    calls = map(mapping, listed(message.get("tool_calls")))
    names = [text(mapping(call.get("function")).get("name")) or text(call.get("name")) for call in calls]
    if not names:
        parts = listed(output) or listed(mapping(output).get("output")) or listed(message.get("content"))
        names = [_requested(mapping(part)) for part in parts]
    return [{"name": name} for name in names if name]


def _requested(part: Mapping[str, Any]) -> str | None:
    asked = part if part.get("type") in _REQUESTS else mapping(part.get("toolUse"))
    return text(asked.get("name"))
