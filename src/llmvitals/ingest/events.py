"""Makes the fields of events that no model answers: retrievals, tools, guardrails, evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmvitals.ingest.span import Reading, Span
from llmvitals.lenient import listed, mapping, number, text
from llmvitals.record.call import BLOCKED

STOPPED: Final = {"status": "ok", "error_type": None, "finish_reason": BLOCKED, "response_id": None}
"""The fields of a request that a guardrail stopped before a model answered."""
CANCELLED: Final = "cancelled"
"""The finish reason of a stream that the application closed early."""
EVALUATED: Final = "gen_ai.evaluation."
VERDICTS: Final = ("pass", "flag", "fix", "block")
"""The mildest first."""


def outcome(span: Span) -> dict[str, Any]:
    """The latency and the status of what a span did. A stream that was closed has done what it was asked."""
    error = span.is_error and not span.is_closed
    return {
        "model": "",
        "latency_ms": span.latency(),
        "status": "error" if error else "ok",
        "error_type": span.error_type() if error else None,
    }


def tool(span: Span, name: str | None) -> tuple[Reading, ...]:
    """The execution of a tool; its name is the span's if nothing better is known."""
    named = name or span.name[:128] or "tool"
    return (Reading("tool", outcome(span) | {"operation": "tool", "tools": [{"name": named}]}),)


def retrieval(
    span: Span, size: int | None, scores: list[float] | None = None, source: str | None = None
) -> tuple[Reading, ...]:
    """A search. size: documents found, None if unknown. scores: of the documents."""
    fields = outcome(span)
    found: dict[str, Any] = {"documents": size}
    if scores:
        found["top_score"] = max(scores)
    if fields["latency_ms"] is not None:
        found["latency_ms"] = fields["latency_ms"]
    if source:
        found["source"] = source
    fields |= {"operation": "retrieval", "retrieval": None if size is None else found}
    return (Reading("retrieval", fields),)


def retrieval_of(span: Span, output: Any, source: str | None = None) -> tuple[Reading, ...]:
    """A search by its output: a list of documents, or an object with one; None if it is unknown."""
    documents = documents_of(output)
    return retrieval(span, None if output is None else len(documents), document_scores(documents), source)


def documents_of(output: Any) -> list[Any]:
    """The documents of an output, which is a list of them or has one."""
    return listed(output) or listed(mapping(output).get("documents"))


def document_scores(documents: list[Any]) -> list[float]:
    """The scores of documents: `score`, on the document or in its metadata."""
    found = [number(mapping(item).get("score", mapping(mapping(item).get("metadata")).get("score")))
             for item in documents]  # fmt: skip
    return [score for score in found if score is not None]


def guardrail(span: Span, name: str | None, verdict: str, score: float | None = None) -> tuple[Reading, ...]:
    """The verdict (pass, flag, fix, block) of a guardrail. A block is no failure of the guardrail."""
    one: dict[str, Any] = {"name": name or span.name[:128] or "guardrail", "verdict": verdict}
    if score is not None:
        one["score"] = score
    fields = outcome(span) | {"operation": "guardrail", "guardrails": [one]}
    if verdict == "block":
        fields |= {"status": "ok", "error_type": None}
    return (Reading("guardrail", fields),)


def judgement(event: str, told: Mapping[str, Any]) -> tuple[str, float | None] | None:
    """The name and the score of an event whose name begins with EVALUATED; None if it has no name.

    Before there was `gen_ai.evaluation.result`, the name of the event had that of the evaluation.
    """
    own = event.removeprefix(EVALUATED)
    names = (told.get("gen_ai.evaluation.name"), told.get("gen_ai.evaluator.name"))
    named = next(filter(None, map(text, names)), None if own == "result" else own[:128])
    scores = (number(told.get(f"gen_ai.evaluation.{name}")) for name in ("score.value", "score"))
    return (named, next((score for score in scores if score is not None), None)) if named else None


def evaluation(name: str, score: float | None, annotator: str | None = None) -> Reading:
    """A score with its name, or only a label; annotator: who gave it, such as human, llm or code."""
    return Reading(
        "evaluation",
        {
            "operation": "evaluation",
            "model": "",
            "scores": None if score is None else {name: score},
            "labelled": name if score is None else None,
            "annotator": annotator.lower() if annotator else None,
            "id_suffix": name,
        },
    )


def verdict_of(output: Any) -> str:
    """The verdict in what a guardrail returned: `flagged`, `passed`, or a verdict's name."""
    found = mapping(output)
    if not found and isinstance(output, bool):
        return "pass" if output else "block"
    for key in ("verdict", "action", "result", "decision", "status"):
        if isinstance(value := found.get(key), str) and value.lower() in _VERDICTS:
            return _VERDICTS[value.lower()]
    if any(found.get(key) is True for key in ("blocked", "tripwire_triggered", "flagged", "intervened")):
        return "block"
    if any(found.get(key) is False for key in ("passed", "allowed", "safe", "valid", "is_safe")):
        return "block"
    return "pass"


def litellm_verdict(status: str | None, response: Any, mode: str | None = None) -> str:
    """The verdict in LiteLLM's report of a guardrail.

    Lakera reports a block as a success with `flagged`; in the mode logging_only nothing is blocked.
    """
    flagged = mapping(response).get("flagged") is True
    if flagged or status in ("guardrail_intervened", "blocked"):
        return "flag" if mode in ("logging_only", "monitor") else "block"
    return "pass" if status == "success" else "flag"


_VERDICTS = {
    "pass": "pass", "passed": "pass", "allow": "pass", "allowed": "pass", "ok": "pass", "success": "pass",
    "none": "pass", "safe": "pass",
    "flag": "flag", "flagged": "flag", "warn": "flag", "warning": "flag", "monitor": "flag", "log": "flag",
    "fix": "fix", "fixed": "fix", "mask": "fix", "masked": "fix", "redact": "fix", "redacted": "fix",
    "anonymized": "fix",
    "block": "block", "blocked": "block", "deny": "block", "denied": "block", "reject": "block",
    "rejected": "block", "refuse": "block", "unsafe": "block", "guardrail_intervened": "block",
    "intervened": "block", "fail": "block", "failed": "block",
}  # fmt: skip
