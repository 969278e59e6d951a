"""Spans of OTLP in JSON, by hand."""

from __future__ import annotations

import json
from typing import Any

Attributes = dict[str, Any]


def span(
    number: int, attributes: Attributes, *, parent: int = 0, trace: int = 1, **more: Any
) -> dict[str, Any]:
    """A span of OTLP in JSON, a second long. more: its further fields, such as events."""
    values = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "startTimeUnixNano": "1795503015000000000",
        "endTimeUnixNano": "1795503016000000000",
        "attributes": [
            {"key": key, "value": {values[type(value)]: str(value) if type(value) is int else value}}
            for key, value in attributes.items()
        ],
    } | more


def export(*scopes: tuple[str, list[dict[str, Any]]]) -> bytes:
    """An export of OTLP in JSON. scopes: an instrumentor and its spans each."""
    groups = [{"scope": {"name": name}, "spans": spans} for name, spans in scopes]
    return json.dumps({"resourceSpans": [{"scopeSpans": groups}]}).encode()


CHAT: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
}
