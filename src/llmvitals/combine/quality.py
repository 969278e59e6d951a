"""What calls add to the sums that tell of their answers: refused, guarded, toxic, searched (tally.SUMS)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.call import Call, Guardrail, Retrieval
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
"""Finish reasons, in small letters, by which Anthropic, OpenAI, Google, Bedrock and Cohere say no."""
REFUSALS: Final = frozenset(
    (
        "content_filter",
        "content_policy_violation",
        "contentpolicyviolationerror",
        "responsibleaipolicyviolation",
    )
)
"""Errors, in small letters, that are a refusal too."""
TOXIC: Final = 0.5
UNSCORED: Final = "unscored"
"""The error of an evaluation that says only that a text could not be scored."""


def endings(v: Ints, calls: Sequence[Call]) -> None:
    """How answers ended. v: HEIGHT × n."""
    finish = [call.finish_reason for call in calls]
    said = {one: one.lower() for one in set(finish) if one}
    for name, reasons in (("truncated_calls", TRUNCATED), ("refused_calls", REFUSED)):
        found = {one for one, small in said.items() if small in reasons}
        if found:
            v[SUM[name]] = [one in found for one in finish]
    if v[SUM["errors"]].any():
        wrong = [(call.error_type or "").lower() in REFUSALS for call in calls]
        v[SUM["refused_calls"]] |= np.array(wrong) & (v[SUM["errors"]] > 0)


def verdicts(v: Ints, calls: Sequence[Call]) -> None:
    """What guardrails said, and toxicity: the call's own, else that of the first guardrail that tells it."""
    toxicity = [call.toxicity for call in calls]
    for place, said in enumerate([call.guardrails for call in calls]):
        if not said:
            continue
        found = {one.verdict for one in said}
        v[SUM["guarded_calls"], place] = 1
        v[SUM["guardrail_flags"], place] = "flag" in found
        v[SUM["guardrail_blocks"], place] = "block" in found
        if toxicity[place] is None:
            toxicity[place] = next(_toxicity(said), None)
    if toxicity.count(None) == len(toxicity):
        return
    scores = np.array(toxicity, np.float64)
    there = ~np.isnan(scores)
    scores[~there] = 0
    v[SUM["toxicity_count"]] = there
    v[SUM["toxicity_micro"]] = np.rint(scores * MICRO)
    v[SUM["toxic_calls"]] = scores >= TOXIC


def _toxicity(said: Sequence[Guardrail]) -> Iterator[float]:
    for one in said:
        if one.score is not None and 0 <= one.score <= 1 and "toxic" in one.name.lower():
            yield one.score


def searches(v: Ints, calls: Sequence[Call]) -> None:
    """What searches brought."""
    for place, found in enumerate([call.retrieval for call in calls]):
        if found is not None:
            for name, value in _search(found):
                v[SUM[name], place] = value


def _search(found: Retrieval) -> Iterator[tuple[str, int]]:
    yield "retrievals", 1
    yield "empty_retrievals", found.documents == 0
    yield "documents", found.documents
    if found.latency_ms is not None:
        yield "retrieval_us", round(found.latency_ms * 1_000)
        yield "retrieval_count", 1
    if found.top_score is not None:
        yield "top_score_micro", round(min(max(found.top_score, -LIMIT), LIMIT) * MICRO)
        yield "top_score_count", 1


def unscored(v: Ints, calls: Sequence[Call]) -> None:
    """Evaluations that say that there is no score."""
    for place, call in enumerate(calls):
        if (call.operation, call.status, call.error_type) == ("evaluation", "error", UNSCORED):
            v[:, place] = 0
            v[SUM["unscored_calls"], place] = 1
