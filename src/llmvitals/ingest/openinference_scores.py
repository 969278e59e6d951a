"""Reads the annotations and evaluations on a span by the OpenInference conventions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llmvitals.ingest import events
from llmvitals.ingest.span import Reading, Span
from llmvitals.lenient import text

_JUDGEMENTS: Final = tuple(
    (f"{about}{name}s", name) for about in ("", "trace.", "session.") for name in ("evaluation", "annotation")
)


def _judgements(span: Span) -> Iterator[tuple[str, float | None, str | None, str | None]]:
    """The annotations and evaluations that stand on a span: name, score, label and who gave it."""
    for prefix, inner in _JUDGEMENTS:
        place = 0
        while name := text(span.get(f"{prefix}.{place}.{inner}.name")):
            item = f"{prefix}.{place}.{inner}"
            yield (
                name,
                span.number(f"{item}.score"),
                text(span.get(f"{item}.label"), 256),
                span.text(f"{item}.annotator_kind"),
            )
            place += 1


def scores(span: Span) -> dict[str, float] | None:
    """The scores of a call, which go with it."""
    return {name: score for name, score, _, _ in _judgements(span) if score is not None} or None


def evaluations(span: Span) -> tuple[Reading, ...]:
    """The judgements of what is no call, such as an agent's run, by name."""
    found = {
        name: events.evaluation(name, score, annotator)
        for name, score, label, annotator in _judgements(span)
        if score is not None or label
    }
    return tuple(found.values())
