"""Reads what spans of GenAI's conventions tell of the answer: why it ended, tools it asks for."""

from __future__ import annotations

from typing import Any, Final

from llmvitals.ingest import answers
from llmvitals.ingest.span import Span
from llmvitals.ingest.values import structure
from llmvitals.lenient import listed, mapping, text

_CHOICE: Final = "gen_ai.choice"
_ENUM: Final = "FinishReason."


def finish_reason(span: Span) -> str | None:
    """Why the answer ended."""
    reason = span.get(
        "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason",
        "gen_ai.completion.0.finish_reason", "anthropic.message.stop_reason",
    )  # fmt: skip
    reasons = structure(reason)
    name = text(reasons[0] if isinstance(reasons, list) and reasons else reason, 256)
    # Semantic Kernel writes the name of Python's enum.
    return name.removeprefix(_ENUM).lower() if name and name.startswith(_ENUM) else name


def requested_tools(span: Span) -> list[dict[str, str]] | None:
    """The tools that the answer asks for; None without any."""
    items = [*span.item_names("gen_ai.completion.0.tool_calls")] or ["gen_ai.completion.0.function_call"]
    names = [*filter(None, (span.text(f"{item}.name") for item in items))] or [
        name
        for message in map(mapping, listed(_messages(span)))
        for part in map(mapping, listed(message.get("parts")))
        if part.get("type") == "tool_call" and (name := text(part.get("name")))
    ]
    return [{"name": name} for name in names] or None


def choice(span: Span) -> dict[str, Any]:
    """What the event of the answer tells: the message beside its finish reason, or both in one text."""
    event = next((event for event in span.events if event.name == _CHOICE), None)
    if event is None:
        return {}
    values = {name: span.plain(value) for name, value in event.attributes.items()}
    content = mapping(structure(values.get("gen_ai.event.content")))
    content = content or {"message": {"content": structure(values.get("message"))}}
    found = answers.fields_of({"choices": [content]})
    return found | {"finish_reason": found["finish_reason"] or text(values.get("finish_reason"), 256)}


def _messages(span: Span) -> Any:
    value = span.get("gen_ai.output.messages")
    return structure(value) if isinstance(value, str) and '"tool_call"' in value else None
