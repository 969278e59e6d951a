"""Reads spans of OpenLLMetry's SageMaker instrumentor, which have no operation."""

from __future__ import annotations

from typing import Final

from llmvitals.ingest import answers, events
from llmvitals.ingest.span import Dialect, Reading, Span
from llmvitals.ingest.values import first
from llmvitals.lenient import mapping

_SCOPE: Final = ".sagemaker"


def read(span: Span) -> tuple[Reading, ...] | None:
    """A call of an endpoint. The model is the endpoint's name; tokens are known if the answer tells them."""
    if not span.scope.endswith(_SCOPE):
        return None
    output = span.structure("traceloop.entity.output")
    answer = mapping(output) or first(output)
    usage = answers.usage_in(answer)
    return (Reading("llm", events.outcome(span) | usage | {
        "operation": "chat",
        "model": span.text("gen_ai.request.model") or "",
        "provider": "aws.sagemaker",
    }),)  # fmt: skip


DIALECT: Final = Dialect(("gen_ai.", "traceloop.", "error."), read)
