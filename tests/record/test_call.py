"""The contract and the hot path's decoder are one."""

import base64
import json
import struct
from array import array
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmvitals.record.call import (
    MAX_VECTOR,
    Call,
    CallEvent,
    call_schema,
    dimension,
    ended,
    floats,
)
from llmvitals.record.view import DIMENSIONS

DECODER = msgspec.json.Decoder(Call)
BASE = {"id": "a", "ts": 1_700_000_000_000, "model": "gpt-4o-mini"}


def event(**fields: object) -> bytes:
    return json.dumps(BASE | fields).encode()


def contract(data: bytes) -> Any:
    """What the contract reads, as plain data; None where it refuses."""
    try:
        return CallEvent.read(data).model_dump()
    except ValueError:
        return None


def hot(data: bytes) -> Any:
    """What the hot path reads, as plain data; None where it refuses."""
    try:
        return msgspec.to_builtins(DECODER.decode(data), builtin_types=(datetime,))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def fill(read: Any) -> Any:
    """With the defaults that an encoder leaves out."""
    if read is None:
        return None
    defaults = {name: info.get_default() for name, info in CallEvent.model_fields.items()}
    full = defaults | read
    for name in ("embedding", "retrieval"):
        if full[name] is not None:
            full[name] = {k: v for k, v in full[name].items() if v is not None}
    for name in ("guardrails", "tools"):
        if full[name] is not None:
            full[name] = [{k: v for k, v in one.items() if v is not None} for one in full[name]]
    return full


def same(data: bytes) -> bool:
    """Whether both read, or both refuse, these bytes alike; and whether they were read."""
    by_contract, by_hot = contract(data), hot(data)
    assert fill(by_hot) == fill(by_contract), data[:300]
    return by_hot is not None


RAW = st.sampled_from(
    [
        *(
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-0.0",
            "1",
            "1.0",
            "-1",
            "1e2",
            "0.5",
            "1e999",
            "-1e999",
            "NaN",
        ),
        *("Infinity", "-Infinity", "1e-400", "100000000", "100000001", "86400000", "86400000.5", "1000000.1"),
        *(
            str(2**53 + 1),
            str(2**63),
            str(2**64),
            str(2**70),
            str(-(2**70)),
            "1" + "0" * 400,
            "01",
            "1.",
            "+1",
        ),
        *('""', '"a"', '"ok"', '"error"', '"block"', '"chat"', '"agent"', '"batch"', '"1"', '"\\u0000"'),
        *('"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00x"', '"é"', '"' + "x" * 128 + '"', '"' + "x" * 129 + '"'),
        *('"' + "é" * 128 + '"', '"' + "x" * 256 + '"', '"' + "x" * 257 + '"'),
        *("[]", "{}", "[1]", "[null]", "[true]", '["a"]', '{"a":1}', '{"a":"b"}', '{"a":null}', '{"":""}'),
        *('{"name":"x","verdict":"pass"}', '[{"name":"x","verdict":"block","score":1}]'),
        *('[{"name":"x","verdict":"maybe"}]', '[{"name":"x"}]', '{"documents":0}', '{"documents":-1}'),
        *('{"documents":3,"top_score":NaN}', '{"documents":3,"top_score":0.5,"latency_ms":1,"source":"kb"}'),
        *('{"model":"m","vector":[1,2.5,-3]}', '{"model":"m","vector":[]}', '{"model":"m","vector":[1e999]}'),
        *('{"model":"m","vector":"AACAPw=="}', '{"model":"m","vector":"AACA"}', '{"model":"m","vector":""}'),
        *('{"model":"m","vector":"AADAfw=="}', '{"model":"m","vector":"??"}', '{"model":"m","vector":null}'),
        *('{{"model":"m","vector":[{}]}}'.format(",".join(["0"] * n)) for n in (4096, 4097)),
        *("{{{}}}".format(",".join(f'"k{i}":"v"' for i in range(n))) for n in (16, 17)),
        *("{{{}}}".format(",".join(f'"k{i}":1' for i in range(n))) for n in (16, 17)),
        *('"2026-11-24T06:56:10Z"', '"2026-11-24T06:56:10"', '"2026-11-24 06:56:10+00:00"', '"2026-11-24"'),
        *('"2026-11-24T06:56:10.123456789+05:30"', '"2026-11-24t06:56:10z"', '"2026-11-24T06:56Z"'),
        *('"2026-02-30T06:56:10Z"', '"2016-12-31T23:59:60Z"', '"0000-01-01T00:00:00Z"', '"1700000000"'),
        *('"2026-11-24T24:00:00Z"', '"2026-11-24T06:56:10,5Z"', '"2026-11-24T06:56:10+0100"'),
        *("1700000000000", "1700000000000.0", "-5", "253402300799999", "253402300800000"),
        *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"'),
        "[" * 100 + "]" * 100,
        "[" * 100_000 + "]" * 100_000,
        "[" * 100_000,
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value, ensure_ascii=True))
NAMES = st.sampled_from([*CallEvent.model_fields, "something_new"])


@given(st.dictionaries(NAMES, RAW | JSON, max_size=4))
@settings(max_examples=1_500)
def test_both_accept_refuse_and_read_the_same(fields: dict[str, str]) -> None:
    texts = {"id": '"a"', "ts": "1700000000000", "model": '"m"'} | fields
    body = ",".join(f"{json.dumps(name)}:{raw}" for name, raw in texts.items())
    same(f"{{{body}}}".encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", CallEvent.model_fields)
@settings(max_examples=60)
@given(raw=RAW)
@example(raw="1" + "0" * 400)
def test_each_field_alone_is_read_the_same(name: str, raw: str) -> None:
    texts = {"id": '"a"', "ts": "1700000000000", "model": '"m"'} | {name: raw}
    same("{%s}".__mod__(",".join(f'"{key}":{value}' for key, value in texts.items())).encode())


@given(st.binary(max_size=60))
@example(b"\xff\xfe{}")
@example(b'{"id":"\xff","ts":1,"model":"m"}')
@example(b"\xef\xbb\xbf{}")
@example(b"")
def test_neither_reads_bytes_that_are_no_event(data: bytes) -> None:
    assert not same(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "x" * 129},
        {"id": 7},
        {"id": None},
        {"ts": "2026-11-24T06:56:10"},
        {"ts": 1.5},
        {"ts": True},
        {"model": "x" * 129},
        {"operation": "dance"},
        {"status": "success"},
        {"schema_version": 2},
        {"schema_version": True},
        {"input_tokens": -1},
        {"input_tokens": 100_000_001},
        {"input_tokens": 2**70},
        {"input_tokens": "12"},
        {"input_tokens": True},
        {"input_tokens": 1.0},
        {"latency_ms": -0.001},
        {"latency_ms": 86_400_001},
        {"cost_usd": -0.01},
        {"toxicity": 1.01},
        {"tags": {f"k{i}": "v" for i in range(17)}},
        {"tags": {"k": 1}},
        {"scores": {"a": "1"}},
        {"stream": 1},
        {"guardrails": [{"name": "pii", "verdict": "maybe"}]},
        {"retrieval": {"documents": -1}},
        {"embedding": {"model": "m", "vector": [0.0] * 4097}},
        {"embedding": {"model": "m", "vector": base64.b64encode(bytes(4 * 4097)).decode()}},
        {
            "embedding": {
                "model": "m",
                "vector": base64.b64encode(struct.pack("<2f", 1, float("nan"))).decode(),
            }
        },
        {"service_tier": "gold"},
    ],
)
def test_out_of_bounds_is_refused_by_both(fields: dict[str, object]) -> None:
    assert not same(event(**fields))


def test_a_whole_event_is_read_by_both() -> None:
    assert same(
        event(
            ts="2026-11-24T06:56:10.255853+01:00",
            operation="chat",
            tags={f"k{i}": "v" for i in range(16)},
            input_tokens=0,
            output_tokens=10**8,
            latency_ms=12,
            scores={"judge": 1, "human": -0.5},
            guardrails=[{"name": "pii", "verdict": "flag", "score": 0.4}],
            retrieval={"documents": 0},
            tools=[{"name": "lookup"}],
            embedding={"model": "e", "vector": [0.25, -1, 3]},
            something_new={"deeply": ["nested", None]},
        )
    )


@pytest.mark.parametrize("missing", ["id", "ts", "model"])
def test_required_fields(missing: str) -> None:
    assert not same(json.dumps({k: v for k, v in BASE.items() if k != missing}).encode())


def test_absent_usage_is_not_zero() -> None:
    call = DECODER.decode(event(output_tokens=0))
    assert (call.input_tokens, call.output_tokens) == (None, 0)


@pytest.mark.parametrize(
    ("ts", "micros"),
    [
        (1_700_000_000_123, 1_700_000_000_123_000),
        (-1, -1_000),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00.000001+01:00", 1),
        ("2026-11-24T06:56:10.255853Z", 1_795_503_370_255_853),
    ],
)
def test_when_it_ended(ts: object, micros: int) -> None:
    assert ended(DECODER.decode(event(ts=ts))) == micros


def test_dimensions_of_a_view_are_fields_of_a_call() -> None:
    call = DECODER.decode(event(team="search", app="", tags={"tier": "gold"}))
    assert dimension(call, "team") == "search"
    assert dimension(call, "app") is None
    assert dimension(call, "tags.tier") == "gold"
    assert dimension(call, "tags.other") is None
    for name in DIMENSIONS:
        dimension(call, name)


def test_a_call_survives_being_written_and_read() -> None:
    call = DECODER.decode(event(ts="2026-11-24T06:56:10.255853Z", tags={"a": "b"}, latency_ms=1.5))
    assert DECODER.decode(msgspec.json.encode(call)) == call


def test_vectors_come_as_float32() -> None:
    packed = base64.b64encode(struct.pack("<3f", 0.5, -2, 3)).decode()
    assert floats(packed) == floats([0.5, -2, 3]) == array("f", [0.5, -2, 3])
    with pytest.raises(ValueError, match="float32"):
        floats("A" * MAX_VECTOR * 8)


def test_the_schema_says_what_is_required_and_bounded() -> None:
    schema = call_schema()
    assert schema["required"] == ["id", "ts", "model"]
    assert set(schema["properties"]) == set(CallEvent.model_fields)
    assert {"type": "integer", "minimum": 0, "maximum": 10**8} in schema["properties"]["input_tokens"][
        "anyOf"
    ]
    assert {"type": "string", "format": "date-time"} in schema["properties"]["ts"]["anyOf"]


def test_a_call_built_in_process_takes_a_datetime() -> None:
    call = Call(id="a", ts=datetime(2026, 1, 1, tzinfo=UTC), model="m")
    assert ended(call) == 1_767_225_600_000_000
