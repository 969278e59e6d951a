"""Reads the spans and log records of OTLP in protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from llmvitals.errors import Code, bad
from llmvitals.ingest.span import Event, Item, Span, span_key

_ERROR: Final = 2
_NEITHER: Final = "The record is neither JSON nor OTLP protobuf"


@cache
def _requests() -> tuple[Any, Any] | None:
    try:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415 - an extra
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415
    except ImportError:
        return None
    return trace_service_pb2.ExportTraceServiceRequest, logs_service_pb2.ExportLogsServiceRequest


def items(value: bytes, prefixes: tuple[str, ...]) -> tuple[bool, Iterator[Item]]:
    """Whether the export holds log records, and its spans or log records.

    prefixes: a span without an attribute whose name begins with one of these is not read. Raises BadCall.
    """
    requests = _requests()
    if requests is None:
        raise bad(Code.UNKNOWN_FORMAT, "OTLP protobuf needs an extra: pip install 'llmvitals[otlp]'")
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415 - of the extra
        DecodeError,
    )

    traces, logs = requests
    for request in (traces, logs):
        try:
            export = request.FromString(value)
        except DecodeError:
            continue
        if request is traces and export.resource_spans and not _is_of_logs(export):
            return False, _spans(export, prefixes)
        if request is logs and export.resource_logs:
            return True, _logs(export)
    raise bad(Code.UNKNOWN_FORMAT, _NEITHER)


def _is_of_logs(export: Any) -> bool:
    """Whether what was parsed as traces are logs: their records then have no ids and no start."""
    are_spans = (
        bool(span.span_id or span.trace_id or span.start_time_unix_nano)
        for group in export.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    )
    return not (next(are_spans, True) or any(are_spans))  # the first span of a trace tells already


def _spans(export: Any, prefixes: tuple[str, ...]) -> Iterator[Item]:
    for group in export.resource_spans:
        resource = _pairs(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                wanted = any(attribute.key.startswith(prefixes) for attribute in span.attributes)
                trace_id = span.trace_id.hex()
                yield Item(
                    (trace_id, span.span_id.hex()),
                    span_key(trace_id, span.parent_span_id.hex()),
                    _maker(span, scoped.scope.name, resource) if wanted else None,
                )


def _maker(span: Any, scope: str, resource: dict[str, Any]) -> Any:
    def make() -> Span:
        events = [Event(event.name, event.time_unix_nano, _pairs(event.attributes)) for event in span.events]
        return Span(
            span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name,
            span.start_time_unix_nano, span.end_time_unix_nano, span.status.code == _ERROR, scope,
            _pairs(span.attributes), resource, events, plain,
        )  # fmt: skip

    return make


def _logs(export: Any) -> Iterator[Item]:
    for group in export.resource_logs:
        resource = _pairs(group.resource.attributes)
        for scoped in group.scope_logs:
            for record in scoped.log_records:
                key = record.trace_id.hex(), record.span_id.hex()
                yield Item(key, None, _log_maker(record, scoped.scope.name, resource))


def _log_maker(record: Any, scope: str, resource: dict[str, Any]) -> Any:
    def make() -> Span:
        attributes = _pairs(record.attributes)
        time = record.time_unix_nano or record.observed_time_unix_nano
        body = record.body.string_value
        named = record.event_name or ("event.name" in attributes and plain(attributes["event.name"])) or body
        return Span(
            record.trace_id.hex(), record.span_id.hex(), "", str(named or ""), time, time, False, scope,
            attributes, resource, [], plain,
        )  # fmt: skip

    return make


def _pairs(attributes: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value for attribute in attributes}


def plain(value: Any) -> Any:
    """The Python value of an AnyValue."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind) if kind else None
