"""Removes API keys and Authorization headers from what goes to Kafka."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from llmvitals.errors import Code, bad
from llmvitals.ingest import otlp_protobuf

_NAMES: Final = frozenset(("authorization", "proxy_authorization", "api_key", "apikey", "x_api_key"))
_HINT: Final = re.compile(rb"api[-_]?key|authorization|\\u00", re.IGNORECASE)
"""A record without it holds no such name; names may be written with escapes."""


def redacted(value: bytes) -> bytes:
    """Remove secret fields and OTLP attributes from a record: JSON, or OTLP in protobuf.

    The value has been decoded before. One without secrets is returned as it is. Raises BadCall for JSON that
    is nested too deeply.
    """
    if not _HINT.search(value):
        return value
    if value.lstrip(b" \t\r\n")[:1] not in (b"{", b"["):
        return _protobuf(value)
    try:
        data = orjson.loads(value)
        return orjson.dumps(data) if _remove(data) else value
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # decoding skips what it does not need
        raise bad(Code.NOT_JSON, "The record is nested too deeply, or has broken texts") from None


def _secret(name: Any) -> bool:
    """Whether a field or attribute of this name holds a secret: the last part of a dotted name counts."""
    return isinstance(name, str) and name.rpartition(".")[2].lower().replace("-", "_") in _NAMES


def _remove(data: Any) -> int:
    """Remove them in place; returns how many. Without recursion, as JSON may be nested deeply."""
    removed, todo = 0, [data]
    while todo:
        node = todo.pop()
        before = len(node)
        if isinstance(node, dict):
            for name in [name for name in node if _secret(name)]:
                del node[name]
            inner: Any = node.values()
        else:
            node[:] = [item for item in node if not _is_secret_attribute(item)]
            inner = node
        removed += before - len(node)
        todo.extend(item for item in inner if isinstance(item, dict | list))
    return removed


def _is_secret_attribute(item: Any) -> bool:
    return isinstance(item, dict) and "value" in item and _secret(item.get("key"))


def _protobuf(value: bytes) -> bytes:
    # An extra, which is there: the value has been decoded.
    logs, _ = otlp_protobuf.items(value, ())
    if logs:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415

        export: Any = logs_service_pb2.ExportLogsServiceRequest.FromString(value)
    else:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415

        export = trace_service_pb2.ExportTraceServiceRequest.FromString(value)
    return bytes(export.SerializeToString()) if _remove_attributes(export) else value


def _remove_attributes(message: Any) -> int:
    removed = 0
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if hasattr(value, "ListFields"):
            removed += _remove_attributes(value)
            continue
        if descriptor.message_type.name == "KeyValue":
            for place in reversed(range(len(value))):
                if _secret(value[place].key):
                    del value[place]
                    removed += 1
        removed += sum(map(_remove_attributes, value))
    return removed
