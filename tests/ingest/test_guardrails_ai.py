"""Guardrails AI: the verdict of a guard by what happens when a validator fails."""

import json

import pytest

from llmvitals.ingest import decode
from llmvitals.record.call import Call
from spans import Attributes, export, span

GUARD: Attributes = {"type": "guardrails/guard", "guard.name": "short", "guardrails.version": "0.11.0"}


@pytest.mark.parametrize(
    ("attributes", "verdict"),
    [
        ({"validation_passed": True, "output.value": "x"}, "pass"),
        ({"validation_passed": False, "output.value": "x"}, "flag"),  # noop
        ({"validation_passed": False}, "block"),  # filter, refrain
    ],
)
def test_the_verdict_of_a_guard(attributes: Attributes, verdict: str) -> None:
    (call,) = decode(export(("guardrails-ai", [span(1, GUARD | attributes)]))).calls
    assert [(rail.name, rail.verdict) for rail in call.guardrails or ()] == [("short", verdict)]


def test_an_exception_blocks() -> None:
    (call,) = decode(export(("guardrails-ai", [span(1, GUARD, status={"code": 2})]))).calls
    assert [rail.verdict for rail in call.guardrails or ()] == ["block"]
    assert call.status == "ok"


def failed(kind: str) -> list[Call]:
    exception = {"key": "exception.type", "value": {"stringValue": kind}}
    event = {"name": "exception", "timeUnixNano": "1795503015500000000", "attributes": [exception]}
    return decode(export(("guardrails-ai", [span(1, GUARD, events=[event])]))).calls


def test_a_guard_whose_model_failed_has_no_verdict() -> None:
    assert failed("guardrails.classes.llm.prompt_callable.PromptCallableException") == []
    (call,) = failed("guardrails.errors.ValidationError")
    assert [rail.verdict for rail in call.guardrails or ()] == ["block"]


ASKED: Attributes = {"llm.invocation_parameters": "{'stream': True, 'model': 'openai/gpt-4o'}"}
STEP: Attributes = {"type": "guardrails/guard/step", "guardrails.version": "0.11.0"}


def stream(*, outcome: str, after: str, error: bool = False) -> list[Call]:
    """A stream: its guard ends as it begins; its step, with the call in it, has no guard around it."""
    outputs = {
        "raw_output": "It is fine.",
        "validation_response": after,
        "validator_logs": [{"validationResult": {"outcome": outcome}}, {"validationResult": None}],
    }
    step = STEP | {"output.value": json.dumps({"outputs": outputs})}
    part = GUARD | {"validation_passed": True, "output.value": "It "}
    spans = [span(1, GUARD), span(2, step, status={"code": 2 if error else 0}), span(3, ASKED, parent=2)]
    groups = (("guardrails-ai", spans), ("guardrails.telemetry.guard_tracing", [span(4, part, parent=2)]))
    return decode(export(*groups)).calls


@pytest.mark.parametrize(
    ("outcome", "after", "error", "verdict"),
    [
        ("pass", "It is fine.", False, "pass"),
        ("fail", "It is fine.", False, "flag"),
        ("fail", "FIXED", False, "fix"),
        ("fail", "", True, "block"),
    ],
)
def test_the_verdict_of_a_stream_is_one(outcome: str, after: str, error: bool, verdict: str) -> None:
    rails = [call for call in stream(outcome=outcome, after=after, error=error) if call.guardrails]
    assert [rail.verdict for call in rails for rail in call.guardrails or ()] == [verdict]


def test_a_stream_is_one_call_of_a_model() -> None:
    calls = [call for call in stream(outcome="pass", after="It is fine.") if not call.guardrails]
    assert [(call.model, call.provider, call.stream) for call in calls] == [("gpt-4o", "openai", True)]
