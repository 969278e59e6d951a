"""Recordings of 22 systems: every event that `expected.json` names is read once, in each form of the record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llmvitals.backtest.replay import replay_lines
from llmvitals.ingest import decode
from llmvitals.record.call import Call
from llmvitals.settings import Settings

DATA = Path(__file__).parents[1] / "data" / "interop"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_bytes())
ARRIVED = 1_795_507_000_000_000
MODELS = ("chat", "completion")


def files(name: str, suffix: str) -> list[bytes]:
    """The records of a recording as one suffix has them; REST bodies and arrays are there as JSON only."""
    every: Sequence[str] = EXPECTED[name]["files"]
    own = [file for file in every if file.endswith(suffix)]
    rest = [file for file in every if file.endswith(".rest.json") and suffix != ".json"]
    return [(DATA / file).read_bytes() for file in own + (rest if own else [])]


def one_span_a_record(record: bytes) -> Iterator[bytes]:
    document = json.loads(record)
    if "resourceSpans" not in document:
        yield record
        return
    for group in document["resourceSpans"]:
        for scoped in group["scopeSpans"]:
            for span in scoped["spans"]:
                one = group | {"scopeSpans": [scoped | {"spans": [span]}]}
                yield json.dumps({"resourceSpans": [one]}).encode()


FORMS = {
    "protobuf": lambda name: files(name, ".pb"),
    "json": lambda name: files(name, ".json"),
    "one span a record": lambda name: [
        one
        for record in files(name, ".json")
        for one in (one_span_a_record(record) if record[:1] == b"{" else [record])
    ],
}


@cache
def settings() -> Settings:
    return Settings()


def totals(records: list[bytes]) -> dict[str, int]:
    """The totals of a replay, by the names of `expected.json`; without those that are 0."""
    outcome = replay_lines(records, settings())
    assert outcome["dead_lettered"] == 0
    kinds = outcome["kinds"]
    found = {
        "llm_calls_ok": kinds["llm"]["ok"],
        "llm_calls_failed": kinds["llm"]["error"],
        "input_tokens": kinds["llm"]["input_tokens"],
        "output_tokens": kinds["llm"]["output_tokens"],
    } | {kind: kinds[kind]["ok"] for kind in ("embedding", "retrieval", "tool", "guardrail", "evaluation")}
    return {name: number for name, number in found.items() if number}


RECORDED = [(name, form) for name in EXPECTED for form, records in FORMS.items() if records(name)]


@pytest.mark.parametrize(("name", "form"), RECORDED)
def test_each_event_counts_once(name: str, form: str) -> None:
    records = FORMS[form](name)
    expected = {name: number for name, number in EXPECTED[name]["totals"].items() if number}
    assert totals(records) == expected, EXPECTED[name]["traps"]


def calls_of(name: str) -> list[Call]:
    return [call for record in files(name, ".json") for call in decode(record, ARRIVED).calls]


FIELDS = {
    "model": "model", "provider": "provider", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_tokens", "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens", "session": "session", "user": "user", "tenant": "tenant",
    "prompt_name": "prompt_name", "prompt_version": "prompt_version", "cost_usd": "cost_usd",
    "error_type": "error_type",
}  # fmt: skip
"""Field of an expected event → field of a call."""


ELSEWHERE = {"opik_sdk_rest": ("session",)}
"""Recording → fields that only another request tells: Opik's traces know the thread of their spans."""


def told(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """What must be read of an expected event, beyond its being counted."""
    left_out = (*event.get("optional", ()), *ELSEWHERE.get(name, ()))
    wanted = {
        ours: event[theirs]
        for theirs, ours in FIELDS.items()
        if event.get(theirs) is not None and theirs not in left_out
    }
    return {name: value for name, value in wanted.items() if value != 0 or "tokens" not in name}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_fields_of_calls(name: str) -> None:
    expected = [event for event in EXPECTED[name]["events"] if event["kind"] in ("llm", "embedding")]
    found = [call for call in calls_of(name) if call.operation in (*MODELS, "embedding")]
    unmatched = list(found)
    for event in expected:
        wanted = told(name, event)
        best = min(
            unmatched, key=lambda call: sum(getattr(call, field) != value for field, value in wanted.items())
        )
        unmatched.remove(best)
        read = {field: getattr(best, field) for field in wanted}
        assert (
            read == pytest.approx(wanted)
            if all(isinstance(v, float) for v in wanted.values())
            else (read == wanted)
        ), EXPECTED[name]["traps"]
        assert (best.status == "error") == bool(event.get("error"))
        if "ttft_us" in event:
            assert best.ttft_ms == pytest.approx(event["ttft_us"] / 1_000, abs=0.01)
        if event.get("duration_unreliable"):
            assert best.latency_ms is None
        elif "duration_us" in event:
            assert best.latency_ms == pytest.approx(event["duration_us"] / 1_000, abs=0.01)


@pytest.mark.parametrize("name", EXPECTED)
def test_verdicts_scores_tools_and_documents(name: str) -> None:
    events, calls = EXPECTED[name]["events"], calls_of(name)
    verdicts = Counter((rail.name, rail.verdict) for call in calls for rail in call.guardrails or ())
    assert verdicts == Counter((e["name"], e["verdict"]) for e in events if e["kind"] == "guardrail")
    scores = {name: score for call in calls for name, score in (call.scores or {}).items()}
    assert scores == {
        e["name"]: e["score"] for e in events if e["kind"] == "evaluation" and e.get("score") is not None
    }
    runs = Counter(tool.name for call in calls if call.operation == "tool" for tool in call.tools or ())
    assert runs == Counter(e["name"] for e in events if e["kind"] == "tool")
    found = Counter(
        call.retrieval.documents if call.retrieval else None
        for call in calls
        if call.operation == "retrieval"
    )
    assert found == Counter(e.get("documents") for e in events if e["kind"] == "retrieval")
    asked = sum(len(call.tools or ()) for call in calls if call.operation in MODELS)
    assert asked == sum(e.get("tool_calls", 0) for e in events if e["kind"] == "llm")
