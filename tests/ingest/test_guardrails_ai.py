"""Guardrails AI: the verdict of a guard by what happens when a validator fails."""

import pytest

from llmvitals.ingest import decode
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
