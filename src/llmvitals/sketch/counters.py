"""The counters of a series: integer sums and maxima, each at a fixed place of a vector.

Law: sums merge by addition and maxima by max, so both are exact, associative and commutative. The vector of
zeros is the identity, because no quantity with a maximum is negative.

To add a sum, append it to SUMS, and set it in `combine.columns`. The order is a wire format: packed vitals of
older versions have shorter vectors, so a name is never moved or removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUMS: Final = (
    "calls", "errors", "late_calls", "duplicates",
    "unpriced_calls", "unknown_usage_calls", "inconsistent_usage_calls", "priced_calls", "usage_calls",
    "cache_hits", "guardrail_blocks", "truncated_calls",
    "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "cost_nano", "latency_us", "latency_count", "ttft_us", "ttft_count",
    "toxicity_micro", "toxicity_count", "toxic_calls", "gross_cost_nano",
    "refused_calls", "guarded_calls", "guardrail_flags", "unscored_calls", "embedded_calls",
    "retrievals", "empty_retrievals", "documents", "retrieval_us", "retrieval_count",
    "top_score_micro", "top_score_count",
    "free_calls", "log_cost", "log_cost_square",
    "log_input", "log_input_square", "log_output", "log_output_square",
    "unknown_tier_calls", "partial_usage_calls",
    "embedding_calls", "embedding_errors", "embedding_tokens", "retrieval_calls", "retrieval_errors",
    "tool_runs", "tool_errors", "tool_us", "tool_count", "verdicts", "guardrail_fixes", "evaluations",
    "stopped_calls",
    "unmetered_calls", "estimated_calls", "estimated_low_nano", "estimated_high_nano", "outcomes",
)  # fmt: skip
"""Units: `_nano` nano-dollars, `_us` microseconds, `_micro` millionths; the others are counts.

`log_cost` is of the priced calls that are not free, in LOG_UNIT of ln(nano-dollars), rounded call by call;
`log_input` and `log_output` of the usage_calls, in LOG_UNIT of ln(1 + tokens); `_square` the sums of their
squares, in LOG_UNIT². Only `top_score_micro` may be negative.

`embedding_calls`, `embedding_errors` and `embedding_tokens` are in `calls`, `errors` and `input_tokens` too.
`retrieval_calls` are all searches, `retrievals` those that tell how many documents they found. `tool_runs`
are executions, not requests. `stopped_calls` are those that a guardrail stopped before a model answered.
`verdicts` are of guardrails, `evaluations` scores or labels: a call may have several.

`gross_cost_nano` is what the calls would have cost without any cache, a provider's or the gateway's.
`priced_calls` have a known cost and `usage_calls` known tokens: means are taken over these.
`unpriced_calls` are all without a known cost; `unknown_tier_calls`, `partial_usage_calls` and
`inconsistent_usage_calls` are those of them that have this reason.

`unmetered_calls` may be billed, and do not tell all their tokens. The `estimated_calls` of them have a cost
between `estimated_low_nano` and `estimated_high_nano`, which is in no other sum.
"""
ALWAYS: Final = SUMS.index("unmetered_calls")
"""Packed vitals have so many sums at least, and the further ones up to the last that is not 0."""
LOG_UNIT: Final = 1e-4
"""Small enough for exact means, and large enough that the squares of 10⁸ calls fit into 64 bits."""
MAXIMA: Final = ("latency_us_max", "ttft_us_max", "cost_nano_max", "input_tokens_max")

SUM: Final = {name: place for place, name in enumerate(SUMS)}
MAX: Final = {name: place for place, name in enumerate(MAXIMA)}


def trimmed(sums: tuple[int, ...]) -> tuple[int, ...]:
    """A vector in the order of SUMS without the zeros at its end, beyond the first ALWAYS."""
    end = len(sums)
    while end > ALWAYS and not sums[end - 1]:
        end -= 1
    return sums[:end]


def add_sums(vectors: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Add vectors in the order of SUMS. Python's integers never overflow."""
    columns = list(zip(*vectors, strict=True))
    return tuple(map(sum, columns)) if columns else (0,) * len(SUMS)


def take_maxima(vectors: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The maxima of vectors in the order of MAXIMA."""
    columns = list(zip(*vectors, strict=True))
    return tuple(map(max, columns)) if columns else (0,) * len(MAXIMA)
