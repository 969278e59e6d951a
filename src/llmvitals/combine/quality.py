"""Sets the sums about the quality of answers: refusals, guardrails, toxicity and retrievals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import BLOCKED, Call, Guardrail, Retrieval
from llmvitals.sketch.counters import SUM
from llmvitals.sketch.scores import LIMIT, MICRO

Ints = NDArray[np.int64]

TRUNCATED: Final = frozenset(("length", "max_tokens"))
REFUSED: Final = frozenset(
    (
        "refusal", "refused", "content_filter", "content_filtered", "safety", "image_safety", "recitation",
        "blocklist", "prohibited_content", "spii", "guardrail_intervened", "error_toxic",
    )
)  # fmt: skip
"""Finish reasons, in lower case, that mean a refusal at Anthropic, OpenAI, Google, Bedrock and Cohere."""
REFUSALS: Final = frozenset(
    (
        "content_filter",
        "content_policy_violation",
        "contentpolicyviolationerror",
        "responsibleaipolicyviolation",
    )
)
"""Error types, in lower case, that mean a refusal."""
TOXIC: Final = 0.5
UNSCORED: Final = "unscored"
"""The error type of an evaluation that could not score a text."""


def set_endings(v: Ints, calls: Sequence[Call]) -> None:
    """Set the sums of truncated and refused answers. v: HEIGHT × n."""
    finish = [call.finish_reason for call in calls]
    lower = {reason: reason.lower() for reason in set(finish) if reason}
    for name, reasons in (("truncated_calls", TRUNCATED), ("refused_calls", REFUSED)):
        matching = {reason for reason, lowered in lower.items() if lowered in reasons}
        if matching:
            v[SUM[name]] = [reason in matching for reason in finish]
    if v[SUM["errors"]].any():
        refused = [(call.error_type or "").lower() in REFUSALS for call in calls]
        v[SUM["refused_calls"]] |= np.array(refused) & (v[SUM["errors"]] > 0)


def set_verdicts(v: Ints, calls: Sequence[Call]) -> None:
    """Set the sums of guardrail verdicts and toxicity.

    Without a toxicity of its own, a call has that of the first guardrail that reports one.
    """
    toxicity = [call.toxicity for call in calls]
    for place, guardrails in enumerate([call.guardrails for call in calls]):
        if not guardrails:
            continue
        results = {guardrail.verdict for guardrail in guardrails}
        v[SUM["guarded_calls"], place] = 1
        v[SUM["guardrail_flags"], place] = "flag" in results
        v[SUM["guardrail_blocks"], place] = "block" in results
        v[SUM["guardrail_fixes"], place] = "fix" in results
        v[SUM["verdicts"], place] = len(guardrails)
        if toxicity[place] is None:
            toxicity[place] = next(_toxicity(guardrails), None)
    if toxicity.count(None) == len(toxicity):
        return
    scores = np.array(toxicity, np.float64)
    known = ~np.isnan(scores)
    scores[~known] = 0
    v[SUM["toxicity_count"]] = known
    v[SUM["toxicity_micro"]] = np.rint(scores * MICRO)
    v[SUM["toxic_calls"]] = scores >= TOXIC


def _toxicity(guardrails: Sequence[Guardrail]) -> Iterator[float]:
    for guardrail in guardrails:
        if guardrail.score is not None and 0 <= guardrail.score <= 1 and "toxic" in guardrail.name.lower():
            yield guardrail.score


def set_retrievals(v: Ints, calls: Sequence[Call]) -> None:
    """Set the sums of retrievals."""
    for place, retrieval in enumerate([call.retrieval for call in calls]):
        if retrieval is not None:
            v[SUM["retrieval_calls"], place] = 1
            for name, value in _retrieval_sums(retrieval):
                v[SUM[name], place] = value


def _retrieval_sums(retrieval: Retrieval) -> Iterator[tuple[str, int]]:
    yield "retrievals", 1
    yield "empty_retrievals", retrieval.documents == 0
    yield "documents", retrieval.documents
    if retrieval.latency_ms is not None:
        yield "retrieval_us", round(retrieval.latency_ms * 1_000)
        yield "retrieval_count", 1
    if retrieval.top_score is not None:
        yield "top_score_micro", round(min(max(retrieval.top_score, -LIMIT), LIMIT) * MICRO)
        yield "top_score_count", 1


def set_stopped(v: Ints, calls: Sequence[Call]) -> None:
    """Count the calls that a guardrail stopped before a model answered; nobody is billed for them."""
    blocked = v[SUM["guardrail_blocks"]] & v[SUM["unknown_usage_calls"]] & (v[SUM["errors"]] == 0)
    named = [call.finish_reason == BLOCKED for call in calls]
    if True in named or blocked.any():
        stopped = (np.array(named) | (blocked > 0)) & (v[SUM["calls"]] > 0)
        v[SUM["stopped_calls"]] = stopped
        for name in ("unpriced_calls", "unknown_usage_calls"):
            v[SUM[name]] *= ~stopped


def set_kinds(v: Ints, calls: Sequence[Call], operations: Sequence[str]) -> None:
    """Count embeddings, searches, tools that ran, with their errors, and outcomes."""
    for operation in _KINDS.keys() & set(operations):
        for place in [place for place, name in enumerate(operations) if name == operation]:
            for name, value in _KINDS[operation](calls[place], calls[place].status == "error"):
                v[SUM[name], place] = value


def _embedding_sums(call: Call, failed: bool) -> Iterator[tuple[str, int]]:
    if call.finish_reason == BLOCKED:
        return
    yield "embedding_calls", 1
    yield "embedding_errors", failed
    yield "embedding_tokens", call.input_tokens or 0


def _search_sums(_: Call, failed: bool) -> Iterator[tuple[str, int]]:
    yield "retrieval_calls", 1
    yield "retrieval_errors", failed


def _tool_sums(call: Call, failed: bool) -> Iterator[tuple[str, int]]:
    yield "tool_runs", 1
    yield "tool_errors", failed
    if call.latency_ms is not None:
        yield "tool_us", round(call.latency_ms * 1_000)
        yield "tool_count", 1


def _outcome_sums(_: Call, failed: bool) -> Iterator[tuple[str, int]]:
    yield "outcomes", not failed


_KINDS: Final = {
    "embedding": _embedding_sums,
    "retrieval": _search_sums,
    "tool": _tool_sums,
    "outcome": _outcome_sums,
}


def set_unscored(v: Ints, calls: Sequence[Call]) -> None:
    """Count evaluations that could not score a text."""
    for place, call in enumerate(calls):
        if (call.operation, call.status, call.error_type) == ("evaluation", "error", UNSCORED):
            v[:, place] = 0
            v[SUM["unscored_calls"], place] = 1
