"""Reads the rails of NeMo Guardrails, whose model calls have GenAI names since version 0.16.

Before, and with `span_format: legacy`, a call has its tokens in attributes that are named after its model,
and the verdict of a rail is told nowhere.
"""

from __future__ import annotations

from typing import Any, Final

from llmvitals.ingest import events
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.usage import usage_of

_CHECKS: Final = ("input", "output", "retrieval", "tool_input", "tool_output")
_CALL: Final = "llm_call_"
_CALLED: Final = "LLM: "
"""What precedes the model in the name of a span, which has it as it is. Attributes have `_` for `/`."""


def read(span: Span) -> tuple[Reading, ...] | None:
    """The verdict of a rail that checks something; rails of the types dialog and generation are none."""
    kind = span.text("rail.type")
    if kind is None:
        return _early_call(span) if span.name.startswith(_CALLED) else None
    if kind not in _CHECKS:
        return NOTHING
    return events.guardrail(span, span.text("rail.name"), "block" if span.flag("rail.stop") else "pass")


def _early_call(span: Span) -> tuple[Reading, ...] | None:
    counts = [name for name in span.attributes if name.startswith(_CALL)]
    if not counts:
        return None
    given: dict[str, Any] = {
        kind: span.get(name)
        for name in counts
        for kind in ("prompt_tokens", "completion_tokens")
        if name.endswith(f"_{kind}_total")
    }
    model = span.name.removeprefix(_CALLED)[:128]
    return (Reading("llm", events.outcome(span) | usage_of(given) | {"operation": "chat", "model": model}),)


DIALECT: Final = Dialect(("rail.", _CALL), read)
