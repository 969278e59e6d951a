"""Damaged recordings of every format: calls, or a dead letter with a reason, and no other call suffers.

LLMVITALS_TEST_EXAMPLES: how many examples, for a long run.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import mutations
from llmvitals.backtest.replay import Replay, replay_lines
from llmvitals.errors import BadCall, Code
from llmvitals.ingest import decode
from llmvitals.record.call import Call, ended
from llmvitals.record.log import Logged
from llmvitals.settings import Settings

EXAMPLES = int(os.environ.get("LLMVITALS_TEST_EXAMPLES", "1000"))
ARRIVED = 1_795_507_000_000_000
DECODER = msgspec.json.Decoder(Call)
FORMS = ("json", "json bytes", "protobuf", "protobuf bytes")


def example(form: str, number: int) -> tuple[str, bytes]:
    """The name of a recording, and a damaged record of it."""
    dice = random.Random(f"{form} {number}")
    if form.startswith("protobuf"):
        name, value = dice.choice(mutations.exports())
        if form.endswith("bytes"):
            return name, mutations.broken(value, dice)
        return name, mutations.damaged_export(name, value, dice)
    name, document = dice.choice(mutations.documents())
    record = document if dice.random() < 0.3 else dice.choice(mutations.items(document))
    if form.endswith("bytes"):
        return name, mutations.broken(json.dumps(record, ensure_ascii=False).encode(), dice)
    return name, json.dumps(mutations.damaged(record, dice)).encode()


def read(value: bytes, *, texts: bool) -> list[Call]:
    """The calls of a record, which are sound; none if it is refused, which tells why."""
    try:
        decoded = decode(value, ARRIVED, texts=texts)
    except BadCall as error:
        sound(error)
        return []
    assert decoded.filtered >= 0
    for error in decoded.refused:
        sound(error)
        assert error.item is not None or len(decoded.refused) == 1 or error.code is Code.INVALID
    for call in decoded.calls:
        assert DECODER.decode(msgspec.json.encode(call)) == call
        ended(call)
    return list(decoded.calls)


def sound(error: BadCall) -> None:
    assert error.code in Code
    assert error.code is not Code.INTERNAL
    assert 0 < len(error.message) <= BadCall.LIMIT


@pytest.mark.parametrize("form", FORMS)
def test_damage_gives_calls_or_a_reason(form: str) -> None:
    for number in range(EXAMPLES // 5):
        name, value = example(form, number)
        try:
            read(value, texts=number % 2 == 0)
        except Exception as error:
            raise AssertionError(f"example {form} {number}, of {name}") from error


@pytest.mark.parametrize("form", FORMS)
def test_the_worker_counts_or_refuses_every_damaged_record(form: str) -> None:
    records = [example(form, number)[1] for number in range(min(EXAMPLES // 10, 2_000))]
    outcome = replay_lines(records, Settings())
    assert "internal" not in outcome["dead_letters"]
    assert outcome["in"] == sum(
        outcome[name] for name in ("applied", "duplicate", "dead_lettered", "filtered")
    )


SPAN: dict[str, Any] = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "name": "chat neighbour",
    "startTimeUnixNano": "1795403015000000000",
    "endTimeUnixNano": "1795403016000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "neighbour-1"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "77"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "7"}},
        {"key": "user.id", "value": {"stringValue": "u-9"}},
    ],
}
GROUP: dict[str, Any] = {
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "beside"}}]},
    "scopeSpans": [{"scope": {"name": "beside"}, "spans": [SPAN]}],
}
LOG: dict[str, Any] = {
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "beside"}}]},
    "scopeLogs": [{
        "scope": {"name": "beside"},
        "logRecords": [{
            "timeUnixNano": "1795403016000000000",
            "eventName": "gemini_cli.api_response",
            "attributes": [
                {"key": "model", "value": {"stringValue": "neighbour-1"}},
                {"key": "input_token_count", "value": {"intValue": "77"}},
                {"key": "output_token_count", "value": {"intValue": "7"}},
            ],
        }],
    }],
}  # fmt: skip
BESIDE = {"resourceSpans": GROUP, "resourceLogs": LOG}


def test_what_stands_beside_a_damaged_item_is_read_as_ever() -> None:
    dice = random.Random(7)
    neighbour = mutations.NATIVE | {"id": "beside"}
    (native,) = decode(json.dumps(neighbour).encode()).calls
    for number in range(EXAMPLES // 5):
        name, document = dice.choice(mutations.documents())
        record = mutations.damaged(dice.choice(mutations.items(document)), dice)
        calls = read(json.dumps([record, neighbour]).encode(), texts=True)
        assert calls[-1:] == [native], f"example {number}, of {name}"


def test_spans_beside_a_damaged_one_are_read_as_ever() -> None:
    dice = random.Random(8)
    wanted = {kind: decode(json.dumps({kind: [group]}).encode()).calls[0] for kind, group in BESIDE.items()}
    exports = [(n, d) for n, d in mutations.documents() if isinstance(d, dict) and BESIDE.keys() & d.keys()]
    for number in range(EXAMPLES // 5):
        name, document = dice.choice(exports)
        (kind,) = BESIDE.keys() & document.keys()
        damaged = mutations.damaged(document[kind], dice)
        record = json.dumps({kind: [*damaged, BESIDE[kind]]}).encode()
        assert wanted[kind] in read(record, texts=False), f"example {number}, of {name}"


ENDED = {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:01Z", "run_type": "llm"}
WEAVE = {"started_at": "2026-11-27T10:00:00Z", "ended_at": "2026-11-27T10:00:01Z", "op_name": "openai.chat"}
GENERATION = {"startTime": "2026-11-27T10:00:00Z", "endTime": "2026-11-27T10:00:01Z"}


@pytest.mark.parametrize("odd", [[], {}, [1], {"a": 1}, None, True, ""])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs/batch", lambda *ids: {"post": [ENDED | {"id": one} for one in ids]}),
        ("/calls/complete", lambda *ids: {"batch": [WEAVE | {"id": one} for one in ids]}),
        (
            "/api/public/ingestion",
            lambda *ids: {
                "batch": [{"type": "generation-create", "body": GENERATION | {"id": one}} for one in ids]
            },
        ),
    ],
)
def test_each_event_of_a_rest_body_without_an_id_is_refused_alone(
    path: str, body: Callable[..., Any], odd: object
) -> None:
    decoded = decode(json.dumps({"path": path, "body": body("a", odd, odd, "b")}).encode(), ARRIVED)
    assert [call.id for call in decoded.calls] == ["a", "b"]
    assert [error.message.partition(". ")[0] for error in decoded.refused] == [
        f"[{place}] Object missing required field `id`" for place in (1, 2)
    ]


TIMELESS = SPAN | {"spanId": "aa", "endTimeUnixNano": 10**30, "attributes": SPAN["attributes"][:3]}


@pytest.mark.parametrize("spans", [[1] * 5_000, [TIMELESS] * 5_000])
def test_one_export_makes_a_thousand_dead_letters_at_most(spans: list[Any]) -> None:
    group = {"scopeSpans": [{"spans": spans}]}
    decoded = decode(json.dumps({"resourceSpans": [group, GROUP]}).encode())
    assert [call.model for call in decoded.calls] == ["neighbour-1"]
    assert (len(decoded.refused), decoded.filtered) == (1_000, 4_000)


@pytest.mark.parametrize("value", ["x" * 5_000, {"a": 1}, 7, True])
def test_groups_that_are_no_list_are_one_dead_letter(value: object) -> None:
    for kind in BESIDE:
        with pytest.raises(BadCall) as error:
            decode(json.dumps({kind: value}).encode())
        assert error.value.code is Code.INVALID


def test_the_names_of_what_is_not_read_are_bounded() -> None:
    replay = Replay.of(Settings())
    group = GROUP["scopeSpans"][0]["spans"][0] | {
        "attributes": [{"key": "llm.new", "value": {"intValue": "1"}}]
    }
    scoped = [{"scope": {"name": f"new\n{number}" + "x" * 900}, "spans": [group]} for number in range(500)]
    record = json.dumps({"resourceSpans": [{"scopeSpans": scoped}]}).encode()
    replay.feed([Logged(0, ARRIVED // 1_000, record)])
    names = replay.combine.unread
    assert (len(names), names["_other"], sum(names.values())) == (101, 400, 500)
    assert all(name.isprintable() and len(name) <= 256 for name in names)


@pytest.mark.parametrize("half", ["\\ud800", "\\U0000dfff"])
def test_half_a_character_in_a_text_that_holds_python_or_json_is_no_name(half: str) -> None:
    attributes = [
        *SPAN["attributes"],
        {"key": "gen_ai.response.finish_reasons", "value": {"stringValue": f"['{half}']"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": f'[{{"role":"user","content":"{half}"}}]'}},
    ]
    scoped = [{"scope": {"name": "a"}, "spans": [SPAN | {"attributes": attributes}]}]
    (call,) = read(json.dumps({"resourceSpans": [{"scopeSpans": scoped}]}).encode(), texts=True)
    assert call.input_text is None
