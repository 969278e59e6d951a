"""The ratios of sums, defined once: what rules watch, points hold and queries ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmvitals.record.alert import Unit


@dataclass(frozen=True, slots=True)
class Ratio:
    """(Σ over − Σ less) / (under · per): totals of vitals by name (tally.SUMS).

    per: how many of the totals' units are one of the ratio's. counted: how many calls it rests on; "": under.
    """

    unit: Unit
    over: tuple[str, ...]
    under: str
    less: tuple[str, ...] = ()
    per: float = 1
    counted: str = ""

    def of(self, total: Callable[[str], int]) -> float | None:
        """Its value; None where there is nothing to divide by."""
        under = total(self.under)
        over = sum(map(total, self.over)) - sum(map(total, self.less))
        return over / (under * self.per) if under else None


def _share(part: str, whole: str = "calls", *, counted: str = "") -> Ratio:
    return Ratio("share", (part,), whole, counted=counted)


RATIOS: Final[dict[str, Ratio]] = {
    "error_share": _share("errors"),
    "late_share": _share("late_calls"),
    "duplicate_share": _share("duplicates"),
    "truncated_share": _share("truncated_calls"),
    "guardrail_block_share": _share("guardrail_blocks"),
    "refusal_share": _share("refused_calls"),
    "guardrail_flag_share": _share("guardrail_flags", "guarded_calls"),
    "empty_retrieval_share": _share("empty_retrievals", "retrievals"),
    "unscored_share": _share("unscored_calls"),
    "embedded_share": _share("embedded_calls"),
    "unpriced_share": _share("unpriced_calls"),
    "unknown_usage_share": _share("unknown_usage_calls"),
    "inconsistent_usage_share": _share("inconsistent_usage_calls"),
    "cache_hit_share": _share("cache_hits"),
    "cached_token_share": _share("cached_tokens", "input_tokens", counted="usage_calls"),
    "reasoning_token_share": _share("reasoning_tokens", "output_tokens", counted="usage_calls"),
    "cache_saving_share": Ratio(
        "share", ("gross_cost_nano",), "gross_cost_nano", less=("cost_nano",), counted="priced_calls"
    ),
    "toxicity_share": _share("toxic_calls", "toxicity_count"),
    "toxicity_mean": Ratio("score", ("toxicity_micro",), "toxicity_count", per=10**6),
    "documents_per_retrieval_mean": Ratio("count", ("documents",), "retrievals"),
    "retrieval_latency_mean": Ratio("ms", ("retrieval_us",), "retrieval_count", per=1_000),
    "retrieval_top_score_mean": Ratio("score", ("top_score_micro",), "top_score_count", per=10**6),
    "latency_mean": Ratio("ms", ("latency_us",), "latency_count", per=1_000),
    "ttft_mean": Ratio("ms", ("ttft_us",), "ttft_count", per=1_000),
    "cost_per_call_mean": Ratio("usd", ("cost_nano",), "priced_calls", per=10**9),
    "cost_per_million_output_tokens": Ratio(
        "usd", ("cost_nano",), "output_tokens", per=10**3, counted="usage_calls"
    ),
    "input_tokens_per_call_mean": Ratio("tokens", ("input_tokens",), "usage_calls"),
    "output_tokens_per_call_mean": Ratio("tokens", ("output_tokens",), "usage_calls"),
    "tokens_per_call_mean": Ratio("tokens", ("input_tokens", "output_tokens"), "usage_calls"),
}
"""Name in rules and queries → the ratio.

cache_hit_share is of calls that the gateway's cache answered, cached_token_share of input tokens that the
provider's did; cache_saving_share is of the money that all calls had cost without any cache.
"""


def plain(column: str) -> str:
    """A field's name as rules and queries have it.

    >>> plain("latency_ms_p95"), plain("cost_usd_per_call_mean")
    ('latency_p95', 'cost_per_call_mean')
    """
    return column.replace("cost_usd", "cost").replace("_ms_", "_")
