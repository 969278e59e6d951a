"""Reads spans of Guardrails AI, which mark guard, step, call and validator alike as GUARDRAIL."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import events, openinference
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.lenient import bare_model, listed, mapping, text

_TYPE: Final = "type"
_GUARD: Final = "guardrails/guard"
_STEP: Final = "guardrails/guard/step"
_CALL: Final = "guardrails/guard/step/call"
_SCOPE: Final = "guardrails-ai"
_OF_PARTS: Final = "guardrails.telemetry.guard_tracing"
"""Has a span of a guard for each part of a stream."""
_ASKED: Final = "llm.invocation_parameters"
"""All that a streamed call tells beside its messages."""
_NOT_PASSED: Final = {True: "flag", False: "block"}
"""Whether a guard has an output although a validator failed → verdict."""
_RESULTS: Final = {
    "exception": "block", "filter": "block", "refrain": "block",
    "fix": "fix", "fix_reask": "fix", "reask": "fix", "custom": "fix", "fail": "flag",
}  # fmt: skip
"""What happened as a validator failed → verdict. "fail": with on_fail=noop nothing did."""


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a span of Guardrails AI tells of: a guard's verdict, or the call of a model inside of it."""
    kind = span.text(_TYPE)
    if kind is None and span.scope == _SCOPE and span.has(_ASKED):
        return _call(span, stream=True)
    if kind is None or not kind.startswith(_GUARD):
        return None
    if kind == _CALL:
        return _call(span)
    if kind == _STEP:
        return _step(span)
    if kind != _GUARD or span.scope == _OF_PARTS:
        return NOTHING
    verdict = _passed(span)
    return events.guardrail(span, span.text("guard.name"), verdict) if verdict else NOTHING


def _passed(span: Span) -> str | None:
    """The verdict of a guard. With on_fail=noop it hands the text on although a validator failed.

    None if it has none: the model failed, or a stream has only begun.
    """
    if span.is_error:
        return "block" if span.error_type() in (None, "ValidationError") else None
    passed = span.flag("validation_passed")
    return _NOT_PASSED[span.has("output.value")] if passed is False else "pass" if passed else None


def _step(span: Span) -> tuple[Reading, ...]:
    """What a step adds to the verdict of its guard. That of a stream has no guard around it."""
    if not span.parent_id:
        return events.guardrail(span, span.text("guard.name") or "guardrail", _of_stream(span))
    return (Reading("guardrail", {"guardrails": [{"name": "", "verdict": _verdict(span)}], "inner": True}),)


def _of_stream(span: Span) -> str:
    """The verdict of the step of a stream, by the log of its validators."""
    outputs = mapping(mapping(span.structure("output.value")).get("outputs"))
    results = (mapping(mapping(log).get("validationResult")) for log in listed(outputs.get("validator_logs")))
    if all(result.get("outcome") != "fail" for result in results):
        return "pass"
    if span.is_error:
        return "block"
    return "flag" if outputs.get("validation_response") == outputs.get("raw_output") else "fix"


def _verdict(span: Span) -> str:
    """The worst verdict among the validators of a step: a fixed output has passed, and was changed."""
    verdicts = ["pass"]
    for event in span.events:
        values = {name: span.plain(value) for name, value in event.attributes.items()}
        if event.name.endswith("_result") and values.get("result") == "fail":
            verdicts.append(_RESULTS.get(str(values.get("result_type")), "flag"))
    return max(verdicts, key=events.VERDICTS.index)


def _call(span: Span, *, stream: bool = False) -> tuple[Reading, ...]:
    # A guard that only checks a text has a call as well; no model answered it.
    counted = span.has("llm.token_count.prompt", "llm.token_count.completion")
    if not (counted or span.is_error or stream):
        return NOTHING
    asked = text(mapping(span.structure(_ASKED)).get("model"))
    provider = asked.partition("/")[0] if asked and "/" in asked else None
    fields = events.outcome(span) | openinference.usage(span) | {
        "operation": "chat",
        "model": span.text("llm.model_name") or bare_model(asked, provider) or "",
        "provider": provider,
        "stream": stream or None,
    }  # fmt: skip
    return (Reading("llm", fields),)


DIALECT: Final = Dialect(("guardrails.", "guard.", "llm."), read, openinference.read_texts)
