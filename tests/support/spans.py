"""Builds exports of OpenTelemetry spans, as JSON."""

import json
from typing import Any

Attributes = dict[str, Any]
CHAT: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
}


def span(
    number: int, attributes: Attributes, *, parent: int = 0, trace: int = 1, **more: Any
) -> dict[str, Any]:
    """A span of one second. number, parent, trace: become ids. more: other members of the span."""
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
    """An export: the spans of each scope."""
    groups = [{"scope": {"name": name}, "spans": spans} for name, spans in scopes]
    return json.dumps({"resourceSpans": [{"scopeSpans": groups}]}).encode()


def during(start: int, end: int) -> dict[str, str]:
    """The times of a span, in ms after some moment."""
    return {"startTimeUnixNano": f"{_MOMENT + start}000000", "endTimeUnixNano": f"{_MOMENT + end}000000"}


def event(name: str, at: int) -> dict[str, str]:
    """An event of a span, `at` ms after that moment."""
    return {"name": name, "timeUnixNano": f"{_MOMENT + at}000000"}


_MOMENT = 1_795_503_015_000
