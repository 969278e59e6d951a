"""Reads evaluations from log records (`gen_ai.evaluation.*`), which repeat the model of the call."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import events
from llmvitals.ingest.span import NOTHING, Dialect, Reading, Span
from llmvitals.ingest.values import event_id, identity
from llmvitals.lenient import text


def read(record: Span) -> tuple[Reading, ...] | None:
    """The evaluation of a log record; details of an inference are those of a span, and not counted again."""
    called = record.name or record.text("event_name") or ""  # the latter is LiteLLM's
    if not called.startswith(events.EVALUATED):
        return NOTHING if called.startswith("gen_ai.") else None
    told = {name: record.plain(value) for name, value in record.attributes.items()}
    name, score = events.judgement(called, told) or ("", None)
    if not name or (score is None and text(told.get("gen_ai.evaluation.score.label"), 256) is None):
        return NOTHING
    kind, fields = events.evaluation(name, score)
    fields |= {
        "model": record.text("gen_ai.response.model", "gen_ai.request.model") or "",
        "provider": record.text("gen_ai.provider.name", "gen_ai.system"),
    }
    if not record.span_id:
        # Without the span that it is about it names the answer; else only its time tells it from others.
        about = identity(record.get("gen_ai.response.id")) or str(record.end)
        fields["id_suffix"] = event_id(about, name)
    return (Reading(kind, fields),)


DIALECT: Final = Dialect(("gen_ai.",), read)
