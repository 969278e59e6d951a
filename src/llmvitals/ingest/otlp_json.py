"""Reads the spans and log records of OTLP in JSON.

protobuf's own JSON parser would read the hex ids as base64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from llmvitals.errors import Code, bad
from llmvitals.ingest.span import Event, Item, Span, span_key

_ERROR: Final = (2, "STATUS_CODE_ERROR")
_STRUCTURE: Final = (AttributeError, KeyError, TypeError)
Json = dict[str, Any]


def items(value: bytes, prefixes: tuple[str, ...]) -> tuple[bool, Iterator[Item]]:
    """Whether the export holds log records, and its spans or log records.

    prefixes: a span without an attribute whose name begins with one of these is not read. Raises BadCall.
    """
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None
    if "resourceSpans" in data:
        return False, _items(data["resourceSpans"], "scopeSpans", "spans", prefixes)
    return True, _items(data["resourceLogs"], "scopeLogs", "logRecords", prefixes)


def _items(groups: Any, scopes: str, records: str, prefixes: tuple[str, ...]) -> Iterator[Item]:
    for group in _list(groups):
        try:
            resource = _pairs((group.get("resource") or {}).get("attributes") or ())
            parts = _list(group.get(scopes))
        except _STRUCTURE:
            yield _MALFORMED
            continue
        for scoped in parts:
            try:
                scope = str((scoped.get("scope") or {}).get("name") or "")
                found = _list(scoped.get(records))
            except _STRUCTURE:
                yield _MALFORMED
                continue
            for record in found:
                if not isinstance(record, dict):
                    yield _MALFORMED
                elif records == "spans":
                    yield _span(record, scope, resource, prefixes)
                else:
                    yield _log(record, scope, resource)


def _span(span: Json, scope: str, resource: Json, prefixes: tuple[str, ...]) -> Item:
    trace_id, span_id = _hex(span.get("traceId")), _hex(span.get("spanId"))
    parent_id = _hex(span.get("parentSpanId"))

    def make() -> Span:
        events = [
            Event(event["name"], int(event["timeUnixNano"]), _pairs(event.get("attributes") or ()))
            for event in span.get("events") or ()
        ]
        return Span(
            _hex(span["traceId"]), span_id, parent_id, str(span.get("name") or ""),
            int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]),
            (span.get("status") or {}).get("code") in _ERROR, scope, _pairs(span.get("attributes") or ()),
            resource, events, plain,
        )  # fmt: skip

    try:
        wanted = any(attribute["key"].startswith(prefixes) for attribute in span.get("attributes") or ())
    except _STRUCTURE:
        wanted = True  # reading it tells what is wrong
    return Item((trace_id, span_id), span_key(trace_id, parent_id), make if wanted else None)


def _log(record: Json, scope: str, resource: Json) -> Item:
    def make() -> Span:
        attributes = _pairs(record.get("attributes") or ())
        time = int(record.get("timeUnixNano") or 0) or int(record["observedTimeUnixNano"])
        named = record.get("eventName") or plain(attributes.get("event.name") or {}) or _body(record)
        return Span(
            trace_id, span_id, "", str(named or ""), time, time, False, scope, attributes,
            resource, [], plain,
        )  # fmt: skip

    trace_id, span_id = _hex(record.get("traceId")), _hex(record.get("spanId"))
    return Item((trace_id, span_id), None, make)


def _body(record: Json) -> str | None:
    body = record.get("body")
    value = plain(body) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None


def _malformed() -> Span:
    raise TypeError


_MALFORMED: Final = Item(("", ""), None, _malformed)
"""Stands for a group, scope, span or log record that is none: it is refused, and its neighbours are read."""


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if value is None:
        return []
    raise TypeError


def _hex(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _pairs(attributes: Any) -> Json:
    return {attribute["key"]: attribute["value"] for attribute in attributes}


def plain(value: Any) -> Any:
    """The Python value of an AnyValue. An integer may be a text, as OTLP writes 64 bits."""
    for kind, inner in value.items():
        if kind == "arrayValue":
            return [plain(item) for item in inner.get("values") or ()]
        if kind == "kvlistValue":
            return {item["key"]: plain(item["value"]) for item in inner.get("values") or ()}
        return inner
    return None
