"""The fields of the measurements: names, order and type, in one place.

COUNTS are integers, MEASURES floats and TEXTS strings, for ever: a field that changed its type could not
be written beside its old points.

A budget's point says how it stood when a minute was over, or at a threshold that was passed in it: of the
present period, or of the last `window` of a rolling one. Budgets of money, tokens and calls have fields of
their own, for a token is no dollar; `share` (1.0: all is used) is of all of them. Tags, beside those of every
point: `rule`. Budgets of a session or a user give no points: there are ever more of them.

An alert's point is a change of its state. Tags: `rule`, `kind`, `severity`, `state` (firing, level, resolved,
acknowledged, silenced), `fingerprint`, and `facet` where it has one; seconds: how old the alert was then;
by: who did it; labels: JSON with sorted keys.
"""

from __future__ import annotations

from typing import Final

CALLS: Final = "llm_calls"
TOP: Final = "llm_top"
BUDGET: Final = "llm_budget"
ALERTS: Final = "llm_alerts"

COUNTS: Final[dict[str, tuple[str, ...]]] = {
    CALLS: (
        "calls", "errors", "late_calls", "duplicates", "unpriced_calls", "unknown_usage_calls",
        "cache_hits", "guardrail_blocks", "input_tokens", "cached_tokens", "cache_write_tokens",
        "output_tokens", "reasoning_tokens", "cost_nano",
    ),
    TOP: ("calls", "tokens"),
    BUDGET: ("spent_tokens", "limit_tokens", "spent_calls", "limit_calls"),
    ALERTS: ("changes",),
}  # fmt: skip
"""Measurement → its integer fields. `cost_nano` is money in nano-dollars, exact."""

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
    ),
    TOP: ("cost_usd",),
    BUDGET: (
        "spent_usd", "limit_usd", "share", "overshoot_usd",
        "burn_1h", "forecast_usd", "forecast_low_usd", "forecast_high_usd",
    ),
    ALERTS: ("value", "limit", "seconds"),
}  # fmt: skip
"""Measurement → its float fields. One that does not exist yet is left out of a point, never NaN."""

TEXTS: Final[dict[str, tuple[str, ...]]] = {
    CALLS: (),
    TOP: ("name",),
    BUDGET: (),
    ALERTS: ("episode", "level", "by", "unit", "labels"),
}
"""Measurement → its string fields."""
