"""Reads a payload of LiteLLM, for the dialect of ingest as well as for what runs inside of LiteLLM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llmvitals.lengths import request_lengths
from llmvitals.lenient import count, listed, mapping
from llmvitals.usage import Usage, usage_of

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


_ADMINISTERS: Final = re.compile(
    r"a?(?:(?:list|get|delete|cancel|retrieve)_\w+|(?:file|video)_(?:retrieve|content|list|delete)\w*"
    r"|create_(?:file|batch|assistants|thread|fine_tuning_job)|vector_store_(?!search)\w+|(?:a_)?add_message)"
)
_WRITTEN: Final = frozenset(("cache_creation_tokens", "cache_write_tokens"))
_BATCH: Final = "retrieve_batch"
"""Tells the usage of a batch that is done."""


def is_call(call_type: Any, *, metered: bool) -> bool:
    """Whether a payload tells of a call, and not of work on files, batches, threads or stored answers."""
    kind = call_type if isinstance(call_type, str) else ""
    return not _ADMINISTERS.fullmatch(kind) or (metered and kind.endswith(_BATCH))


def operation_of(call_type: Any) -> str:
    """The operation of a call_type."""
    kind = call_type if isinstance(call_type, str) else ""
    return _OPERATIONS.get(kind) or _OPERATIONS.get(kind.removeprefix("a"), "chat")


def lengths_of(payload: Mapping[str, Any]) -> dict[str, int | None]:
    """The bytes of a payload's texts, and the output limit: that of the request, else that of the model."""
    choices = map(mapping, listed(mapping(payload.get("response")).get("choices")))
    answer = [choice.get("message") or choice.get("text") for choice in choices]
    model = mapping(mapping(payload.get("model_map_information")).get("model_map_value"))
    asked = mapping(payload.get("model_parameters"))
    known = {name: value for name, value in asked.items() if value is not None}
    limit = {"max_tokens": model.get("max_output_tokens")}
    return request_lengths(payload.get("messages"), answer, limit | known)


def usage_in(value: Any, operation: str | None, provider: str | None) -> Usage:
    """The token counts of LiteLLM's usage object.

    In the middle of 2025 it left Anthropic's cache writes out of the input; since it counts them, its details
    have them as well. Of Bedrock's the total tells.
    """
    usage = mapping(value)
    if usage.get("cache_creation_input_tokens") and provider != "bedrock":
        usage = _with_writes(usage)
    return usage_of(usage, operation)


def _with_writes(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    written = count(usage["cache_creation_input_tokens"])
    if written is None or mapping(usage.get("prompt_tokens_details")).keys() & _WRITTEN:
        return usage
    told = {name: count(usage.get(name)) for name in ("prompt_tokens", "total_tokens")}
    return {**usage, **{name: tokens + written for name, tokens in told.items() if tokens}}
