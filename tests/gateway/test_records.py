"""Whatever comes in gives records or one error that says what is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from llmvitals.errors import BadCall
from llmvitals.gateway.records import Contents, Form, Reader, Received, form_of, has_litellm
from llmvitals.settings import Settings

DATA = Path(__file__).parents[1] / "data"
LOGS = (DATA / "interop" / "otel_evaluation_result_events.logs.pb").read_bytes()
READER = Reader(Settings())
CALL = {"id": "c", "ts": 1_764_000_000_000, "model": "m"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["api_key", "id", "ts", "body", "key", "value"]), inner),
)  # fmt: skip
PATHS = [
    "/v1/traces",
    "/v1/logs",
    "/v1/calls",
    "/litellm",
    "/api/public/scores",
    "/runs/batch",
    "/helicone",
    "/x",
]


def read(path: str, body: bytes) -> Contents:
    return READER.read(form_of(path), Received("POST", path, body, 1))


@given(st.sampled_from(PATHS), st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body(path: str, body: bytes) -> None:
    has_litellm(body)
    with suppress(BadCall):
        read(path, body)


@given(VALUES)
def test_no_api_key_is_left_in_what_is_skipped_by_decoding(value: Any) -> None:
    (record,) = read("/v1/calls", json.dumps(CALL | {"more": value}).encode()).records
    assert b'"api_key":' not in record.value.replace(b" ", b"")


@pytest.mark.parametrize("depth", [300, 2_000])
def test_json_that_is_too_deep_is_refused(depth: int) -> None:
    deep = b'{"api_key":' * depth + b"1" + b"}" * depth
    with pytest.raises(BadCall, match=r"nested too deeply|is not JSON"):
        read("/api/public/scores", b'{"a":' * depth + b"1" + b"}" * depth)
    with pytest.raises(BadCall, match="nested too deeply"):
        read(
            "/v1/calls",
            json.dumps(CALL)[:-1].encode() + b',"api":' + b"[" * depth + deep + b"]" * depth + b"}",
        )


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces"])
def test_attributes_of_logs_are_redacted_whatever_the_path(path: str) -> None:
    export = ExportLogsServiceRequest.FromString(LOGS)
    record = export.resource_logs[0].scope_logs[0].log_records[0]
    record.attributes.add(key="Authorization").value.string_value = "planted"
    (made,) = read(path, export.SerializeToString()).records
    assert b"planted" not in made.value
    assert ExportLogsServiceRequest.FromString(made.value) == ExportLogsServiceRequest.FromString(LOGS)


def test_our_own_paths_go_before_those_of_vendors() -> None:
    assert [form_of(path) for path in ("/v1/private/otel/v1/traces", "/a/v1/calls/", "/v1/private/traces", "/")] == [
        Form.TRACES, Form.CALLS, Form.REST, Form.UNKNOWN,
    ]  # fmt: skip
