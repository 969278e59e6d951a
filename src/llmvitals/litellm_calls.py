"""What LiteLLM calls its calls."""

from __future__ import annotations

from typing import Any, Final

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


def operation_of(call_type: Any) -> str:
    """The operation of a call_type."""
    kind = call_type if isinstance(call_type, str) else ""
    return _OPERATIONS.get(kind) or _OPERATIONS.get(kind.removeprefix("a"), "chat")
