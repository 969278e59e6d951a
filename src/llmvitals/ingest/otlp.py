"""OpenTelemetry traces, as a Collector's Kafka exporter writes them: protobuf or JSON."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from llmvitals.errors import Code
from llmvitals.ingest import genai
from llmvitals.ingest.deduplicate import Found, once
from llmvitals.ingest.span import Event, Span
from llmvitals.ingest.values import Decoded, bad, call, moment, text


class Dialect(NamedTuple):
    """A vocabulary of attributes.

    prefixes: a span without an attribute that begins so is passed over unread. read: the fields of its
    call, None if it is none. response_id: the provider's id of the answer. said: the fields of its texts.
    """

    prefixes: tuple[str, ...]
    read: Callable[[Span], dict[str, Any] | None]
    response_id: Callable[[Span], str | None]
    said: Callable[[Span], dict[str, Any]]


DIALECTS: Final = (Dialect(genai.PREFIXES, genai.read, genai.response_id, genai.said),)
"""The first that reads a span as a call wins: the most particular first."""

_PREFIXES: Final = tuple({prefix for dialect in DIALECTS for prefix in dialect.prefixes})
_Links = list[tuple[str, str]]
"""Of every span, also those passed over: its id and its parent's."""
_NO_SCOPE: Final = "otlp"
"""The instrumentor of spans without a scope: taken to be one, which reports each call once."""
_ERROR: Final = (2, "STATUS_CODE_ERROR")


def knows(names: Container[str]) -> bool:
    """Whether an object with these names is OTLP's JSON."""
    return "resourceSpans" in names


def binary(value: bytes) -> bool:
    """Whether these bytes can only be OTLP's protobuf (a new line before JSON begins alike)."""
    return value[:1] == b"\n" and value.lstrip(b" \t\r\n")[:1] not in (b"{", b"[")


def read(value: bytes, *, texts: bool = False) -> Decoded:
    """The calls among the spans of one export; texts: with what was said in them. Raises BadCall."""
    links: _Links = []
    walk = _json(value, links) if value.lstrip(b" \t\r\n")[:1] == b"{" else _protobuf(value, links)
    found: list[Found] = []
    try:
        for span in walk:
            for dialect in DIALECTS:
                fields = dialect.read(span)
                if fields is not None:
                    fields |= dialect.said(span) if texts else {}
                    found.append(Found(span, fields, dialect.response_id(span)))
                    break
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        raise bad(Code.INVALID, "resourceSpans: has not the shape of OTLP") from None
    kept = once(found, links)
    return Decoded([_call(one) for one in kept], len(links) - len(kept))


def _call(found: Found) -> Any:
    span = found.span
    return call(found.fields | {
        "id": f"{span.trace_id}-{span.span_id}" if span.trace_id and span.span_id else None,
        "ts": moment(span.end // 1_000, "endTimeUnixNano"),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "response_id": found.response_id,
        "instrumentor": text(span.scope) or _NO_SCOPE,
    })  # fmt: skip


def _json(value: bytes, links: _Links) -> Iterator[Span]:
    # protobuf's own JSON reader would take the hex ids for base64.
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
                if not any(one["key"].startswith(_PREFIXES) for one in attributes):
                    continue
                events = [
                    Event(one["name"], int(one["timeUnixNano"]), _pairs(one.get("attributes") or ()))
                    for one in span.get("events") or ()
                ]
                yield Span(
                    span["traceId"].lower(), *links[-1],
                    int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]),
                    (span.get("status") or {}).get("code") in _ERROR, scope, _pairs(attributes),
                    _pairs(resource.get("attributes") or ()), events, _plain_json,
                )  # fmt: skip


def _pairs(attributes: Any) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in attributes}


def _plain_json(value: Any) -> Any:
    for kind, inner in value.items():
        return _plain_kind(kind, inner)
    return None


def _plain_kind(kind: str, inner: Any) -> Any:
    if kind == "arrayValue":
        return [_plain_json(one) for one in inner.get("values") or ()]
    if kind == "kvlistValue":
        return {one["key"]: _plain_json(one["value"]) for one in inner.get("values") or ()}
    return inner


@cache
def _request() -> Any:
    try:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return trace_service_pb2.ExportTraceServiceRequest


def _protobuf(value: bytes, links: _Links) -> Iterator[Span]:
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
                if not any(one.key.startswith(_PREFIXES) for one in span.attributes):
                    continue
                events = [
                    Event(one.name, one.time_unix_nano, {each.key: each.value for each in one.attributes})
                    for one in span.events
                ]
                yield Span(
                    span.trace_id.hex(), *links[-1],
                    span.start_time_unix_nano, span.end_time_unix_nano,
                    span.status.code in _ERROR, scoped.scope.name,
                    {one.key: one.value for one in span.attributes},
                    {one.key: one.value for one in group.resource.attributes}, events, _plain_protobuf,
                )  # fmt: skip


def _plain_protobuf(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain_protobuf(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain_protobuf(one.value) for one in value.kvlist_value.values}
    return getattr(value, kind) if kind else None
