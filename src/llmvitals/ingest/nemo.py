"""Reads the rails of NeMo Guardrails; its model calls have GenAI names."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import events
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span

_CHECKS: Final = ("input", "output", "retrieval", "tool_input", "tool_output")


def read(span: Span) -> tuple[Reading, ...] | None:
    """The verdict of a rail that checks something; rails of the types dialog and generation are none."""
    kind = span.text("rail.type")
    if kind is None:
        return None
    if kind not in _CHECKS:
        return NOTHING
    return events.guardrail(span, span.text("rail.name"), "block" if span.flag("rail.stop") else "pass")


DIALECT: Final = Dialect(("rail.",), read)
