"""The fields of the measurements: names and types.

COUNTS are integers, MEASURES floats and TEXTS strings. The type of a field never changes, because a store
can't hold both types. Fields of metrics that are not listed here are added by `registry.measures`.

A point of a budget is its state at the end of a minute, or when a threshold was crossed: of the current
period, or of the last `window` of a rolling budget. Budgets of money, tokens and calls have different fields;
`share` (1.0: all is used) is common to them. Additional tag: `rule`. Budgets by session or user have no
points, because their number is unbounded.

An alert's point is a change of its state. Tags: `rule`, `kind`, `severity`, `state` (firing, level, resolved,
acknowledged, silenced), `fingerprint`, and `facet` where it has one; seconds: how old the alert was then;
by: who did it; labels: JSON with sorted keys.

A point of drift is the statistic at the end of a minute. Tags: `rule`. statistic: the greatest of
`topics`, `shape` and `unusual` (the heads, each in units of its own threshold; left out where a head does not
look), so threshold is 1; visible_share: the smallest share of a new topic that is found within six hours;
limits_learned_s: the time whose calls the limits rest on; learned_share: how much of the learning is done;
model: that of the embeddings. A point of a canary compares an arm with its control, metric by metric. Tags:
`rule`, `metric`, `arm`, `control`; the evidence is an e-value, and the limit what it has to reach; effect: a
ratio for rates, times, money and tokens, a difference for scores, with its interval; visible_day,
visible_week: the smallest effect that would be found in such a time (100: that or more); cluster: user,
session, trace or minute, by which the evidence is counted, and overdispersion: by how much that reduces it.
Points of toxicity and of scores (tag `score`: its name) are of series and windows, as those of calls.

A point of cardinality says that a view had more names in a day (of sessions: in an hour) than its limit, so
that the rest was counted in `_other`. Tag: `shard`; each shard has a part of the limit. names: those with a
place; cut: those without (above 255 it is an estimate); name: of the view; examples: of cut names.
"""

from __future__ import annotations

from typing import Final

CALLS: Final = "llm_calls"
TOP: Final = "llm_top"
BUDGET: Final = "llm_budget"
ALERTS: Final = "llm_alerts"
DRIFT: Final = "llm_drift"
CANARY: Final = "llm_canary"
TOXICITY: Final = "llm_toxicity"
SCORES: Final = "llm_scores"
CARDINALITY: Final = "llm_cardinality"

GREATEST: Final = 100.0
"""The greatest `visible_day` and `visible_week` of a canary: that or more."""

COUNTS: Final[dict[str, tuple[str, ...]]] = {
    CALLS: (
        "calls", "errors", "late_calls", "duplicates", "unpriced_calls", "unknown_usage_calls",
        "cache_hits", "guardrail_blocks", "input_tokens", "cached_tokens", "cache_write_tokens",
        "output_tokens", "reasoning_tokens", "cost_nano", "refused_calls",
        "guarded_calls", "guardrail_flags", "retrievals", "empty_retrievals", "documents", "embedded_calls",
        "usage_calls", "gross_cost_nano", "truncated_calls", "inconsistent_usage_calls",
        "unknown_tier_calls", "partial_usage_calls",
        "embedding_calls", "embedding_errors", "embedding_tokens", "retrieval_calls", "retrieval_errors",
        "tool_runs", "tool_errors", "verdicts", "guardrail_fixes", "evaluations",
        "stopped_calls", "unmetered_calls", "estimated_calls", "estimated_low_nano", "estimated_high_nano",
        "outcomes",
    ),
    TOP: ("calls", "tokens"),
    BUDGET: ("spent_tokens", "limit_tokens", "spent_calls", "limit_calls"),
    ALERTS: ("changes",),
    DRIFT: ("calls", "reference_calls"),
    CANARY: ("arm_calls", "control_calls"),
    TOXICITY: ("scored_calls", "toxic_calls", "unscored_calls"),
    SCORES: ("scores",),
    CARDINALITY: ("names", "cut"),
}  # fmt: skip
"""Measurement → its integer fields. `cost_nano` is money in nano-dollars, exact; `gross_cost_nano` the
cost without any cache; `usage_calls` the calls with known tokens. `estimated_low_nano` and
`estimated_high_nano` bound the cost of the `estimated_calls`, which is not in `cost_nano`."""

RARE: Final[dict[str, tuple[str, ...]]] = {
    "guarded_calls": ("guarded_calls", "guardrail_flags"),
    "retrievals": ("retrievals", "empty_retrievals", "documents"),
    "embedded_calls": ("embedded_calls",),
    "truncated_calls": ("truncated_calls",),
    "inconsistent_usage_calls": ("inconsistent_usage_calls",),
    "unknown_tier_calls": ("unknown_tier_calls",),
    "partial_usage_calls": ("partial_usage_calls",),
    "embedding_calls": ("embedding_calls", "embedding_errors", "embedding_tokens"),
    "retrieval_calls": ("retrieval_calls", "retrieval_errors"),
    "tool_runs": ("tool_runs", "tool_errors"),
    "verdicts": ("verdicts", "guardrail_fixes"),
    "evaluations": ("evaluations",),
    "stopped_calls": ("stopped_calls",),
    "unmetered_calls": ("unmetered_calls",),
    "estimated_calls": ("estimated_calls", "estimated_low_nano", "estimated_high_nano"),
    "outcomes": ("outcomes",),
}
"""Counts of CALLS that a point has only where the first of them is not 0."""

MEASURES: Final[dict[str, tuple[str, ...]]] = {
    CALLS: (
        "cost_usd",
        "latency_ms_mean", "latency_ms_p50", "latency_ms_p90", "latency_ms_p95", "latency_ms_p99",
        "latency_ms_max",
        "ttft_ms_mean", "ttft_ms_p50", "ttft_ms_p90", "ttft_ms_p95", "ttft_ms_p99", "ttft_ms_max",
        "output_tokens_per_s_p5", "output_tokens_per_s_p50",
        "cost_usd_per_call_mean", "cost_usd_per_call_p50", "cost_usd_per_call_p95", "cost_usd_per_call_p99",
        "input_tokens_per_call_mean", "input_tokens_per_call_p95",
        "cache_hit_share", "toxicity_mean", "toxicity_share",
        "retrieval_latency_ms_mean", "tool_latency_ms_mean", "retrieval_top_score_mean",
        "cost_usd_per_call_p90", "cost_usd_per_call_max",
        "input_tokens_per_call_p50", "input_tokens_per_call_p90", "input_tokens_per_call_p99",
        "input_tokens_per_call_max",
        "output_tokens_per_s_p10", "output_tokens_per_s_p90", "output_tokens_per_s_p95",
        "output_tokens_per_s_p99",
    ),
    TOP: ("cost_usd",),
    BUDGET: (
        "spent_usd", "limit_usd", "share", "overshoot_usd",
        "burn_1h", "forecast_usd", "forecast_low_usd", "forecast_high_usd",
    ),
    ALERTS: ("value", "limit", "seconds", "peak"),
    DRIFT: (
        "statistic", "threshold", "topics", "shape", "reference_age_s", "overdispersion", "unusual",
        "visible_share", "limits_learned_s", "learned_share",
    ),
    CANARY: (
        "log10_e", "log10_limit", "arm_value", "control_value", "effect", "effect_low", "effect_high",
        "overdispersion", "visible_day", "visible_week",
    ),
    TOXICITY: (
        "toxicity_mean", "toxicity_share", "toxicity_p50", "toxicity_p95", "toxicity_p90", "toxicity_p99",
        "unscored_share",
    ),
    SCORES: ("score_mean", "score_deviation"),
    CARDINALITY: (),
}  # fmt: skip
"""Measurement → its float fields. A field without a value is left out of a point; it is never NaN."""

TEXTS: Final[dict[str, tuple[str, ...]]] = {
    CALLS: (),
    TOP: ("name",),
    BUDGET: (),
    ALERTS: ("episode", "level", "by", "unit", "labels"),
    DRIFT: ("model",),
    CANARY: ("cluster",),
    TOXICITY: (),
    SCORES: (),
    CARDINALITY: ("name", "examples"),
}
"""Measurement → its string fields."""
