"""Reads OpenTelemetry traces as a Collector's Kafka exporter writes them: protobuf or JSON."""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import cache, partial
from typing import Any, Final

import orjson

from llmvitals.errors import Code
from llmvitals.ingest import genai
from llmvitals.ingest.deduplicate import SpanCall, deduplicated
from llmvitals.ingest.span import Dialect, Event, Span
from llmvitals.ingest.values import Decoded, Format, bad, call, moment, text

DIALECTS: Final[dict[str, Dialect]] = {
    "genai": genai.DIALECT,
}
"""Name → dialect. The first that reads a span as a call wins: the most specific come first."""

_Links = list[tuple[str, str]]
"""The id of every span, also of skipped ones, and of its parent."""
_NO_SCOPE: Final = "otlp"
"""The instrumentor of spans without a scope: they count as one instrumentor, which reports a call once."""
_ERROR: Final = (2, "STATUS_CODE_ERROR")


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is OTLP in JSON."""
    return "resourceSpans" in names


def binary(value: bytes) -> bool:
    """Whether these bytes can only be OTLP in protobuf, and not JSON after a line feed."""
    return value[:1] == b"\n" and value.lstrip(b" \t\r\n")[:1] not in (b"{", b"[")


def read(value: bytes, *, texts: bool = False) -> Decoded:
    """Decode the spans of one export into calls. texts: whether to read their texts. Raises BadCall."""
    links: _Links = []
    prefixes = tuple({prefix for dialect in DIALECTS.values() for prefix in dialect.prefixes})
    walk = _json if value.lstrip(b" \t\r\n")[:1] == b"{" else _protobuf
    span_calls: list[SpanCall] = []
    try:
        for span in walk(value, links, prefixes):
            for dialect in DIALECTS.values():
                fields = dialect.read(span)
                if fields is not None:
                    fields |= dialect.read_texts(span) if texts else {}
                    span_calls.append(SpanCall(span, fields))
                    break
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        raise bad(Code.INVALID, "resourceSpans: does not have the structure of OTLP") from None
    kept = deduplicated(span_calls, links)
    return Decoded([_call(span_call) for span_call in kept], len(links) - len(kept))


FORMAT: Final = Format(knows, read, partial(read, texts=True))


def _call(span_call: SpanCall) -> Any:
    span = span_call.span
    return call(span_call.fields | {
        "id": f"{span.trace_id}-{span.span_id}" if span.trace_id and span.span_id else None,
        "ts": moment(span.end // 1_000, "endTimeUnixNano"),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "instrumentor": text(span.scope) or _NO_SCOPE,
    })  # fmt: skip


def _json(value: bytes, links: _Links, prefixes: tuple[str, ...]) -> Iterator[Span]:
    # protobuf's own JSON parser would read the hex ids as base64.
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise bad(Code.NOT_JSON, "The record is not JSON") from None
    for group in data["resourceSpans"]:
        resource = group.get("resource") or {}
        for scoped in group.get("scopeSpans") or ():
            scope = (scoped.get("scope") or {}).get("name") or ""
            for span in scoped.get("spans") or ():
                links.append((span["spanId"].lower(), (span.get("parentSpanId") or "").lower()))
                attributes = span.get("attributes") or ()
                if not any(attribute["key"].startswith(prefixes) for attribute in attributes):
                    continue
                events = [
                    Event(event["name"], int(event["timeUnixNano"]), _pairs(event.get("attributes") or ()))
                    for event in span.get("events") or ()
                ]
                yield Span(
                    span["traceId"].lower(), *links[-1],
                    int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]),
                    (span.get("status") or {}).get("code") in _ERROR, scope, _pairs(attributes),
                    _pairs(resource.get("attributes") or ()), events, _plain_json,
                )  # fmt: skip


def _pairs(attributes: Any) -> dict[str, Any]:
    return {attribute["key"]: attribute["value"] for attribute in attributes}


def _plain_json(value: Any) -> Any:
    for kind, inner in value.items():
        return _plain_kind(kind, inner)
    return None


def _plain_kind(kind: str, inner: Any) -> Any:
    if kind == "arrayValue":
        return [_plain_json(item) for item in inner.get("values") or ()]
    if kind == "kvlistValue":
        return {item["key"]: _plain_json(item["value"]) for item in inner.get("values") or ()}
    return inner


@cache
def _request() -> Any:
    try:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return trace_service_pb2.ExportTraceServiceRequest


def _protobuf(value: bytes, links: _Links, prefixes: tuple[str, ...]) -> Iterator[Span]:
    request = _request()
    if request is None:
        raise bad(Code.UNKNOWN_FORMAT, "OTLP protobuf needs an extra: pip install 'llmvitals[otlp]'")
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415 - of the extra
        DecodeError,
    )

    try:
        export = request.FromString(value)
    except DecodeError:
        raise bad(Code.UNKNOWN_FORMAT, "The record is neither JSON nor OTLP protobuf") from None
    if not export.resource_spans:
        raise bad(Code.UNKNOWN_FORMAT, "The record is neither JSON nor OTLP protobuf")
    for group in export.resource_spans:
        for scoped in group.scope_spans:
            for span in scoped.spans:
                links.append((span.span_id.hex(), span.parent_span_id.hex()))
                if not any(attribute.key.startswith(prefixes) for attribute in span.attributes):
                    continue
                events = [
                    Event(event.name, event.time_unix_nano, _protobuf_pairs(event.attributes))
                    for event in span.events
                ]
                yield Span(
                    span.trace_id.hex(), *links[-1],
                    span.start_time_unix_nano, span.end_time_unix_nano,
                    span.status.code in _ERROR, scoped.scope.name,
                    _protobuf_pairs(span.attributes),
                    _protobuf_pairs(group.resource.attributes), events, _plain_protobuf,
                )  # fmt: skip


def _protobuf_pairs(attributes: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value for attribute in attributes}


def _plain_protobuf(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain_protobuf(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: _plain_protobuf(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind) if kind else None
