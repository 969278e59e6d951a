"""Recordings of real systems with damage from a seed: flipped types, dropped keys, huge numbers, broken bytes."""

from __future__ import annotations

import copy
import json
import random
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "data"
NATIVE = {
    "id": "n-1", "ts": 1_795_503_015_000, "model": "gpt-4o", "provider": "openai", "app": "chat", "team": "search",
    "user": "u-1", "tags": {"tier": "gold"}, "input_tokens": 20, "output_tokens": 3, "cost_usd": 0.1,
    "latency_ms": 12.5, "status": "ok", "scores": {"helpful": 0.5}, "guardrails": [{"name": "pii", "verdict": "pass"}],
    "retrieval": {"documents": 2}, "tools": [{"name": "lookup"}], "embedding": {"model": "e", "vector": [0.5, 1.0]},
    "input_text": "hello", "output_text": "world",
}  # fmt: skip


def nested(depth: int) -> Any:
    """Lists within objects, so deep."""
    value: Any = "deep"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 1.5, -0.0, 1e308, 1e-320, "", " ", "None",
    "null", "-1", "1e999", "9" * 400, "NaN", "Infinity", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00",
    "2026-02-30", "x" * 5_000, "\0\x1b[31m\u202e\u200b\ufeff", "\U0010ffff", "{", "[", '"', "{}", "[]", '{"a":', "[" * 999,
    "{'a': " * 90, "(" * 500, "1_0", "0x10", "'\\ud800'", '"\\ud800"', "['\\ud800']", [], {}, [None], [[]], [{}],
    {"": None}, {"a": 1}, nested(9), nested(60), [0] * 1_000, {"stringValue": 5}, {"intValue": "many"},
    {"intValue": 10**30}, {"doubleValue": "NaN"}, {"doubleValue": "Infinity"}, {"arrayValue": {"values": [{}]}},
    {"arrayValue": None}, {"kvlistValue": {"values": [{"key": 5}]}}, {"kvlistValue": {"values": 7}},
    {"bytesValue": "AAAA"}, {"stringValue": "x", "intValue": 4}, {"stringValue": nested(5)},
)  # fmt: skip
"""What a value may become."""


@cache
def documents() -> tuple[tuple[str, Any], ...]:
    """Name → a recorded JSON record, of every format and system."""
    paths = sorted([*(DATA / "interop").glob("*.json"), *(DATA / "ingest").glob("*.json")])
    recorded = [(path.name, json.loads(path.read_bytes())) for path in paths if path.name != "expected.json"]
    return (("native", NATIVE), *recorded)


@cache
def exports() -> tuple[tuple[str, bytes], ...]:
    """Name → a recorded export in protobuf."""
    paths = sorted([*(DATA / "interop").glob("*.pb"), *(DATA / "ingest").glob("*.pb")])
    return tuple((path.name, path.read_bytes()) for path in paths)


def items(document: Any) -> list[Any]:
    """The events of an array, or the document alone."""
    return document if isinstance(document, list) else [document]


def damaged(document: Any, dice: random.Random, *, moving: bool = True) -> Any:
    """A copy with one to four values changed, dropped, doubled, or, if moving, given another name or place."""
    result = copy.deepcopy(document)
    for _ in range(dice.randint(1, 4)):
        places = list(_places(result))
        if not places:
            return result
        holder, key = dice.choice(places)
        kind = dice.choice((0, 1, 2, 3, 4) if moving else (0, 3, 4))
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, name = dice.choice(places)
            holder[key] = copy.deepcopy(other[name])
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind == 2:
            holder[dice.choice(["", "key", "value", "attributes", "name", "x" * 300, "\ud7ff"])] = holder.pop(
                key
            )
        else:
            holder[key] = copy.deepcopy(dice.choice(WRONG))
    return result


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key below a value."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in found:
        yield value, key
        yield from _places(inner)


def broken(value: bytes, dice: random.Random) -> bytes:
    """The bytes cut short, with other bytes in them, or with a part doubled or left out."""
    data = bytearray(value)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice([1, 2, 8, 100]))
        match dice.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at:end] = dice.randbytes(end - at)
            case 2:
                data[at:at] = data[at:end]
            case 3:
                del data[at:end]
            case _:
                data[at:at] = dice.choice(
                    [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\0", b"[" * 2_000, b'{"a":' * 2_000]
                )
    return bytes(data)


def damaged_export(name: str, value: bytes, dice: random.Random) -> bytes:
    """An export in protobuf whose spans or log records have other attributes, times, ids and nesting."""
    export: Any
    if ".logs." in name:
        export = ExportLogsServiceRequest.FromString(value)
        records = [
            one for group in export.resource_logs for scoped in group.scope_logs for one in scoped.log_records
        ]
        times = ("time_unix_nano", "observed_time_unix_nano")
    else:
        export = ExportTraceServiceRequest.FromString(value)
        records = [
            span for group in export.resource_spans for scoped in group.scope_spans for span in scoped.spans
        ]
        times = ("start_time_unix_nano", "end_time_unix_nano")
    for _ in range(dice.randint(1, 4)):
        _damage(dice.choice(records), times, dice)
    return bytes(export.SerializeToString())


def _damage(record: Any, times: tuple[str, str], dice: random.Random) -> None:
    """Change one thing of a span or log record."""
    match dice.randrange(5):
        case 0:
            setattr(record, dice.choice(times), dice.choice([0, 1, 2**62, 2**64 - 1]))
        case 1:
            record.span_id = dice.choice([b"", b"\0", b"\xff" * 8, b"x" * 200, record.span_id])
        case 2 if record.attributes:
            del record.attributes[dice.randrange(len(record.attributes))]
        case _ if record.attributes:
            _change(dice.choice(record.attributes).value, dice)


def _change(value: Any, dice: random.Random) -> None:
    """Give an AnyValue another kind or an extreme value."""
    match dice.randrange(8):
        case 0:
            value.int_value = dice.choice([0, -1, 2**63 - 1, -(2**63)])
        case 1:
            value.double_value = dice.choice([float("nan"), float("inf"), -0.0, 1e308, 0.5])
        case 2:
            value.bool_value = dice.random() < 0.5
        case 3:
            value.bytes_value = dice.randbytes(9)
        case 4:
            value.array_value.values.add().kvlist_value.values.add().key = "a"
        case 5:
            inner = value
            for _ in range(dice.choice([3, 40])):
                inner = inner.array_value.values.add()
        case 6:
            value.Clear()
        case _:
            value.string_value = dice.choice([text for text in WRONG if isinstance(text, str)])
