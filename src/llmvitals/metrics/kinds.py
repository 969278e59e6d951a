"""The metrics of what surrounds a model's calls, such as tools and outcomes, and of estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmvitals.metrics.amount import NANO
from llmvitals.metrics.columns import CALLS
from llmvitals.metrics.metric import Metric

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit


def _count(name: str, text: str) -> Metric:
    unit: Unit = "tokens" if name.endswith("tokens") else "count"
    return Metric(unit=unit, text=text, over=(name,), field=name, measurement=CALLS)


def _error_share(text: str, part: str, of: str, sentence: str) -> Metric:
    return Metric(
        unit="share", text=text, over=(part,), under=of, counted=of, compared="share", watched=True,
        highest=1, sentence=sentence,
    )  # fmt: skip


KIND_METRICS: Final[dict[str, Metric]] = {
    "embedding_calls": _count("embedding_calls", "calls for embeddings; `calls` includes them"),
    "embedding_errors": _count("embedding_errors", "calls for embeddings that failed"),
    "embedding_tokens": _count("embedding_tokens", "embedded tokens; `input_tokens` includes them"),
    "retrieval_calls": _count("retrieval_calls", "searches, with or without a report of what they found"),
    "retrieval_errors": _count("retrieval_errors", "searches that failed"),
    "tool_runs": _count("tool_runs", "executions of tools"),
    "tool_errors": _count("tool_errors", "executions of tools that failed"),
    "verdicts": _count("verdicts", "verdicts of guardrails; a call may have several"),
    "stopped_calls": _count("stopped_calls", "calls that a guardrail stopped before a model answered"),
    "guardrail_fixes": _count("guardrail_fixes", "calls or texts that a guardrail changed"),
    "evaluations": _count("evaluations", "scores of judges, people and programs"),
    "outcomes": _count("outcomes", "outcomes that were reached, such as tickets solved"),
    "cost_per_outcome": Metric(
        unit="usd", text="the whole cost of the window, failed attempts included, divided by its outcomes",
        over=("cost_nano",), under="outcomes", per=NANO, counted="outcomes",
    ),
    "tool_error_share": _error_share(
        "executions of tools that failed", "tool_errors", "tool_runs", "the executions of tools failed"
    ),
    "retrieval_error_share": _error_share(
        "searches that failed", "retrieval_errors", "retrieval_calls", "the searches failed"
    ),
    "tool_latency_mean": Metric(
        unit="ms", text="time that a tool took", over=("tool_us",), under="tool_count", per=1_000,
        counted="tool_count", field="tool_latency_ms_mean", watched=True,
    ),
}  # fmt: skip
"""The metrics of these kinds; `registry.METRICS` holds them with the others."""


def _estimate(text: str, total: str) -> Metric:
    return Metric(unit="usd", text=f"{text}; no other metric includes it", over=(total,), per=NANO)


ESTIMATES: Final[dict[str, Metric]] = {
    "unmetered_calls": _count(
        "unmetered_calls", "calls without a cost that a provider may bill, because a model has worked"
    ),
    "estimated_calls": _count("estimated_calls", "unmetered calls whose cost is estimated"),
    "estimated_cost_low": _estimate("the least that the estimated calls cost", "estimated_low_nano"),
    "estimated_cost_high": _estimate("the most that the estimated calls cost", "estimated_high_nano"),
}  # fmt: skip
"""The metrics of calls that are billed and not metered."""
