"""Reads the texts of a call from messages of other formats. Only scorers need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from llmvitals.lenient import listed, mapping

REDACTED: Final = "redacted-by-litellm"
"""LiteLLM writes this in place of texts that it must not log."""


def last_message(messages: Any, role: str | None = None) -> str | None:
    """The text of the last message, or of the last one with this role; None without any.

    messages: a list of `{role, content}` or `{role, parts}`, where content is a text or a list of parts, or
    such a list as JSON.
    """
    if isinstance(messages, str):
        try:
            messages = orjson.loads(messages)
        except orjson.JSONDecodeError:
            return None
    for message in map(mapping, reversed(listed(messages))):
        if role is None or message.get("role") == role:
            content = message.get("content")
            return plain(
                content if isinstance(content, str) else listed(content) or listed(message.get("parts"))
            )
    return None


def plain(content: str | Sequence[Any]) -> str | None:
    """The text parts of a content, joined; None without any or if it is redacted."""
    if not isinstance(content, str):
        parts = [part for part in map(mapping, content) if part.get("type", "text") == "text"]
        texts = [part.get("text") or part.get("content") for part in parts]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return content if content and content != REDACTED else None
