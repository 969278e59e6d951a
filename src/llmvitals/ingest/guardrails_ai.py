"""Reads spans of Guardrails AI, which mark guard, step, call and validator alike as GUARDRAIL."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import events, openinference
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.lenient import bare_model, mapping, text

_TYPE: Final = "type"
_GUARD: Final = "guardrails/guard"
_STEP: Final = "guardrails/guard/step"
_CALL: Final = "guardrails/guard/step/call"
_RESULTS: Final = {
    "exception": "block", "filter": "block", "refrain": "block",
    "fix": "fix", "fix_reask": "fix", "reask": "fix", "custom": "fix", "fail": "flag",
}  # fmt: skip
"""What happened as a validator failed → verdict. "fail": with on_fail=noop nothing did."""


def read(span: Span) -> tuple[Reading, ...] | None:
    """What a span of Guardrails AI tells of: a guard's verdict, or the call of a model inside of it."""
    kind = span.text(_TYPE)
    if kind is None or not kind.startswith(_GUARD):
        return None
    if kind == _CALL:
        return _call(span)
    if kind == _STEP:
        return (
            Reading("guardrail", {"guardrails": [{"name": "", "verdict": _verdict(span)}], "inner": True}),
        )
    if kind != _GUARD:
        return NOTHING
    return events.guardrail(span, span.text("guard.name"), _passed(span))


def _passed(span: Span) -> str:
    """The verdict of a guard. With on_fail=noop it hands the text on although a validator failed."""
    if span.is_error:
        return "block"
    if span.flag("validation_passed") is not False:
        return "pass"
    return "flag" if span.has("output.value") else "block"


def _verdict(span: Span) -> str:
    """The worst verdict among the validators of a step: a fixed output has passed, and was changed."""
    verdicts = ["pass"]
    for event in span.events:
        values = {name: span.plain(value) for name, value in event.attributes.items()}
        if event.name.endswith("_result") and values.get("result") == "fail":
            verdicts.append(_RESULTS.get(str(values.get("result_type")), "flag"))
    return max(verdicts, key=events.VERDICTS.index)


def _call(span: Span) -> tuple[Reading, ...]:
    # A guard that only checks a text has a call as well; no model answered it.
    if not (span.has("llm.token_count.prompt", "llm.token_count.completion") or span.is_error):
        return NOTHING
    asked = text(mapping(span.structure("llm.invocation_parameters")).get("model"))
    provider = asked.partition("/")[0] if asked and "/" in asked else None
    fields = events.outcome(span) | openinference.usage(span) | {
        "operation": "chat",
        "model": span.text("llm.model_name") or bare_model(asked, provider) or "",
        "provider": provider,
    }  # fmt: skip
    return (Reading("llm", fields),)


DIALECT: Final = Dialect(("guardrails.", "guard."), read, openinference.read_texts)
