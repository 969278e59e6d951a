"""Measures the texts of calls that do not tell their usage, so that their cost can be bounded.

Only lengths are kept. A length is unknown (None) where something else than text was sent, such as an
image, or where the texts were hidden: then nothing bounds the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from llmvitals.lenient import count
from llmvitals.texts import REDACTED
from llmvitals.usage import first_known

_HIDDEN: Final = frozenset((REDACTED, "__REDACTED__", "[REDACTED]"))
TEXT_KINDS: Final = frozenset(
    (
        "text", "input_text", "output_text", "refusal", "message", "function", "function_call",
        "function_call_output", "tool_call", "tool_call_response", "tool_use", "tool_result", "thinking",
        "reasoning", "summary_text",
    )
)  # fmt: skip
"""The types of parts of a message that are texts; bytes do not bound the tokens of others."""
_MARKS: Final = frozenset(
    ("type", "id", "call_id", "tool_call_id", "tool_use_id", "index", "finish_reason", "signature")
)
"""Names of what is no text of a message."""
_WRITTEN_AS_JSON: Final = frozenset(("arguments", "input", "result", "response"))
"""Names of values that a model reads and writes as JSON."""
LENGTHS: Final = ("input_bytes", "output_bytes", "max_output_tokens")
"""The fields of a call that bound its tokens."""
_DEEP: Final = 20
_LIMITS: Final = (
    "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample", "maxTokens",
)  # fmt: skip


def is_metered(fields: Mapping[str, Any]) -> bool:
    """Whether a call tells all of its tokens and so needs no lengths. Embeddings have no output.

    Lengths only bound the tokens that a call does not tell, so those of other calls are not measured.
    """
    read, written = fields.get("input_tokens"), fields.get("output_tokens")
    return read is not None and (written is not None or fields.get("operation") == "embedding")


def length(value: Any, depth: int = 0) -> int | None:
    """The UTF-8 bytes of the texts in messages or in a part of one; None if there is anything but texts."""
    if isinstance(value, str):
        return None if value in _HIDDEN else len(value.encode(errors="replace"))
    if depth > _DEEP:
        return None
    if isinstance(value, list):
        return total(length(item, depth + 1) for item in value)
    if isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind not in TEXT_KINDS:
            return None
        return total(_member(name, item, depth + 1) for name, item in value.items() if name not in _MARKS)
    return 0 if value is None else len(str(value))


def _member(name: str, value: Any, depth: int) -> int | None:
    if name in _WRITTEN_AS_JSON and isinstance(value, dict | list):
        return _json(value)
    return length(value, depth)


def _json(value: Any) -> int | None:
    try:
        return len(orjson.dumps(value))
    except TypeError:  # nested too deeply, or an integer above 64 bits
        return None


def total(parts: Iterable[int | None]) -> int | None:
    """The sum; None if one of the lengths is unknown."""
    found = 0
    for part in parts:
        if part is None:
            return None
        found += part
    return found


def request_lengths(messages: Any, answer: Any, parameters: Mapping[str, Any]) -> dict[str, int | None]:
    """The lengths of a call. answer: the messages that came. parameters: those of the request."""
    tools = [parameters[name] for name in ("tools", "functions", "response_format") if parameters.get(name)]
    return {
        "input_bytes": total([length(messages) if messages else None, *map(_json, tools)]),
        "output_bytes": length(answer) if answer else None,
        "max_output_tokens": output_limit(parameters),
    }


def output_limit(parameters: Mapping[str, Any]) -> int | None:
    """The most output tokens that a request allows, for all answers that it asks for."""
    limit = first_known(*(count(parameters.get(name)) for name in _LIMITS))
    return None if limit is None else count(limit * (count(parameters.get("n")) or 1))
