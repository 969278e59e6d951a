"""What was said in a call, out of other formats' messages; read only for scorers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from llmvitals.ingest.values import listed, mapping

_REDACTED: Final = "redacted-by-litellm"
"""What LiteLLM puts in the place of texts that it shall not log."""


def said(messages: Any, role: str | None = None) -> str | None:
    """The text of the last message; role: of the last one by them. None where there is none.

    messages: a list of `{role, content}` or `{role, parts}`, where content is a text or a list of parts, or
    such a list as JSON.
    """
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            return None
    for message in map(mapping, reversed(listed(messages))):
        if role is None or message.get("role") == role:
            found = message.get("content")
            return plain(found if isinstance(found, str) else listed(found) or listed(message.get("parts")))
    return None


def plain(content: str | Sequence[Any]) -> str | None:
    """A content without its pictures and calls of tools."""
    if not isinstance(content, str):
        parts = [part for part in map(mapping, content) if part.get("type", "text") == "text"]
        found = [part.get("text") or part.get("content") for part in parts]
        content = "\n".join(text for text in found if isinstance(text, str))
    return content if content and content != _REDACTED else None
