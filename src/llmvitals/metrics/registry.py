"""The registry of metrics. Rules, points, queries, statistics, messages, documentation and schema read it.

To add a metric, add its entry here; if it needs a sum that does not exist yet, append it to
sketch.counters.SUMS first.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import suggestion
from llmvitals.metrics.amount import NANO
from llmvitals.metrics.columns import CALLS, COUNTS, MEASURES, TOXICITY
from llmvitals.metrics.kinds import ESTIMATES, KIND_METRICS
from llmvitals.metrics.metric import SECONDS, Metric
from llmvitals.record.vitals import TOPS
from llmvitals.sketch.scores import HARMFUL, MICRO

if TYPE_CHECKING:
    from llmvitals.record.alert import Unit

_SCORE: Final = re.compile(r"score\.(\S{1,64})_mean")
_MILLI: Final = 1_000


def _count(name: str, text: str, *, measurement: str = CALLS) -> Metric:
    return Metric(unit="count", text=text, over=(name,), field=name, measurement=measurement)


def _tokens(name: str, text: str) -> Metric:
    return Metric(unit="tokens", text=text, over=(name,), field=name)


def _rate(text: str, *sums: str, unit: Unit = "per_s", per: float = 1) -> Metric:
    return Metric(unit=unit, text=text, over=sums, under=SECONDS, per=per)


def _share(text: str, part: str, of: str = "calls", **more: Any) -> Metric:
    """A share of calls: the number of calls under it is known, so it can be compared with the past."""
    settings: dict[str, Any] = {"compared": "share", "watched": True, "highest": 1, **more}
    return Metric(unit="share", text=text, over=(part,), under=of, counted=of, **settings)


def _part(text: str, part: str, of: str, sentence: str) -> Metric:
    """A share of tokens: its calls are not alike, so its noise is learned from minutes."""
    return Metric(
        unit="share", text=text, over=(part,), under=of, counted="usage_calls", watched=True, highest=1,
        compared="token_share", worse="down" if part == "cached_tokens" else "up", sentence=sentence,
    )  # fmt: skip


def _mean(unit: Unit, text: str, *sums: str, of: str, per: float = 1, **more: Any) -> Metric:
    return Metric(unit=unit, text=text, over=sums, under=of, per=per, **{"counted": of, **more})


def _maximum(unit: Unit, text: str, sketch: str, field: str) -> Metric:
    top, counted, per = TOPS[sketch]
    return Metric(unit=unit, text=text, top=top, per=per, counted=counted, field=field)


def _percentiles(
    stem: str, sketch: str, unit: Unit, text: str, *, qs: tuple[int, ...] = (50, 90, 95, 99), **more: Any
) -> dict[str, Metric]:
    watched = {"latency": (50, 95), "ttft": (50, 95), "output_tokens_per_s": (50,)}.get(stem, ())
    return {
        f"{stem}_p{q}": Metric(
            unit=unit, text=f"{text}: {q} % of the calls are at or below it", sketch=sketch, q=q / 100,
            field=f"{sketch}_p{q}", compared="quantile", watched=q in watched,
            **more,
        )
        for q in qs
    }  # fmt: skip


METRICS: Final[dict[str, Metric]] = {
    "calls": _count("calls", "calls"),
    "errors": _count("errors", "calls that failed"),
    "late_calls": _count("late_calls", "calls that came after their pane had closed"),
    "duplicates": _count("duplicates", "duplicates of calls; no other metric counts them"),
    "unpriced_calls": _count("unpriced_calls", "model calls without a known price (failed ones need usage)"),
    "unknown_usage_calls": _count("unknown_usage_calls", "calls that do not say how many tokens they used"),
    "inconsistent_usage_calls": _count(
        "inconsistent_usage_calls", "calls with impossible token counts, such as more cached than all input"
    ),
    "unknown_tier_calls": _count("unknown_tier_calls", "calls in a service tier without a known price"),
    "partial_usage_calls": _count("partial_usage_calls", "chats with only input or only output tokens"),
    "cache_hits": _count("cache_hits", "calls that the gateway's cache answered"),
    "guardrail_blocks": _count("guardrail_blocks", "calls that a guardrail blocked"),
    "truncated_calls": _count("truncated_calls", "calls whose answer ended at its token limit"),
    "toxic_calls": _count("toxic_calls", "scored calls with a toxicity of 0.5 or more", measurement=TOXICITY),
    "refused_calls": _count("refused_calls", "calls that the model refused"),
    "guarded_calls": _count("guarded_calls", "calls that carry a guardrail's verdict"),
    "guardrail_flags": _count("guardrail_flags", "guarded calls that a guardrail flagged or blocked"),
    "retrievals": _count("retrievals", "searches"),
    "empty_retrievals": _count("empty_retrievals", "searches that found nothing"),
    "embedded_calls": _count("embedded_calls", "calls that came with an embedding"),
    "unscored_calls": _count(
        "unscored_calls", "evaluations of calls that a scorer could not score", measurement=TOXICITY
    ),
    "cost": Metric(unit="usd", text="money spent", over=("cost_nano",), per=NANO, field="cost_usd"),
    "tokens": Metric(unit="tokens", text="input and output tokens", over=("input_tokens", "output_tokens")),
    "input_tokens": _tokens("input_tokens", "input tokens, cached ones included"),
    "output_tokens": _tokens("output_tokens", "output tokens, reasoning included"),
    "cached_tokens": _tokens("cached_tokens", "input tokens read from the provider's cache"),
    "cache_write_tokens": _tokens("cache_write_tokens", "input tokens written to the provider's cache"),
    "reasoning_tokens": _tokens("reasoning_tokens", "output tokens spent on reasoning"),
    "calls_per_s": _rate("calls a second", "calls"),
    "errors_per_s": _rate("calls that failed, a second", "errors"),
    "tokens_per_s": _rate(
        "input and output tokens a second, of all calls together",
        "input_tokens", "output_tokens", unit="tokens_per_s",
    ),
    "cost_per_hour": _rate("money spent an hour", "cost_nano", unit="usd", per=NANO / 3_600),
    "error_share": _share(
        "calls that failed", "errors", sentence="the calls failed"
    ),
    "late_share": _share("calls that came late", "late_calls", watched=False, sentence="the calls came late"),
    "duplicate_share": _share(
        "duplicates, for each call", "duplicates", watched=False, sentence="the calls came twice",
        highest=math.inf,
    ),
    "truncated_share": _share(
        "answers that ended at their token limit", "truncated_calls",
        sentence="the answers ended at their token limit",
    ),
    "guardrail_block_share": _share(
        "calls that a guardrail blocked", "guardrail_blocks",
        sentence="the calls were blocked by a guardrail",
    ),
    "refusal_share": _share(
        "calls that the model refused", "refused_calls",
        sentence="the calls were refused by the model",
    ),
    "guardrail_flag_share": _share(
        "guarded calls that were flagged", "guardrail_flags", "guarded_calls",
        sentence="the calls that a guardrail looked at were flagged",
    ),
    "empty_retrieval_share": _share(
        "searches that found nothing", "empty_retrievals", "retrievals", sentence="the searches found nothing"
    ),
    "unscored_share": _share(
        "evaluations without a score, for each call", "unscored_calls",
        measurement=TOXICITY, field="unscored_share", sentence="the calls could not be scored",
        highest=math.inf,
    ),
    "embedded_share": _share(
        "calls that came with an embedding", "embedded_calls", sentence="the calls came with an embedding"
    ),
    "unpriced_share": _share(
        "calls without a known price", "unpriced_calls", sentence="the calls have no known price"
    ),
    "unknown_usage_share": _share(
        "calls that do not say how many tokens they used", "unknown_usage_calls", watched=False,
        sentence="the calls do not say how many tokens they used",  # it follows the errors: these say none
    ),
    "inconsistent_usage_share": _share(
        "calls with impossible token counts", "inconsistent_usage_calls",
        sentence="the calls have impossible token counts",
    ),
    "cache_hit_share": _share(
        "calls that the gateway's cache answered", "cache_hits", field="cache_hit_share", worse="down",
        sentence="the calls were answered by the gateway's cache",
    ),
    "cached_token_share": _part(
        "input tokens read from the provider's cache", "cached_tokens", "input_tokens",
        "the input came from the provider's cache",
    ),
    "reasoning_token_share": _part(
        "output tokens spent on reasoning", "reasoning_tokens", "output_tokens",
        "the output was spent on reasoning",
    ),
    "cache_saving_share": Metric(
        unit="share", text="money that caches saved, of the cost of all calls without any cache",
        over=("gross_cost_nano",), less=("cost_nano",), under="gross_cost_nano", counted="priced_calls",
        worse="down", watched=True, sentence="the money was saved by caches",
        lowest=-math.inf, highest=1,
    ),
    **KIND_METRICS, **ESTIMATES,
    "toxicity_share": _share(
        "scored calls that are toxic", "toxic_calls", "toxicity_count", field="toxicity_share",
        sentence="the scored calls were toxic",
    ),
    "toxicity_mean": _mean(
        "score", "toxicity of the scored calls", "toxicity_micro", of="toxicity_count", per=MICRO,
        field="toxicity_mean", compared="mean", watched=True, highest=1,
    ),
    "documents_per_retrieval_mean": _mean(
        "count", "documents found by a search", "documents", of="retrievals", worse="down", watched=True
    ),
    "retrieval_latency_mean": _mean(
        "ms", "time that a search took", "retrieval_us", of="retrieval_count", per=_MILLI,
        field="retrieval_latency_ms_mean", watched=True,
    ),
    "retrieval_top_score_mean": _mean(
        "score", "score of the best document of a search", "top_score_micro", of="top_score_count", per=MICRO,
        field="retrieval_top_score_mean", worse="down", compared="mean", watched=True, lowest=-math.inf,
    ),
    "latency_mean": _mean(
        "ms", "time that a call took", "latency_us", of="latency_count", per=_MILLI,
        field="latency_ms_mean", compared="log_mean", logs="latency_ms",
    ),
    "ttft_mean": _mean(
        "ms", "time to the first token", "ttft_us", of="ttft_count", per=_MILLI,
        field="ttft_ms_mean", compared="log_mean", logs="ttft_ms",
    ),
    "cost_per_call_mean": _mean(
        "usd", "money for a priced call", "cost_nano", of="priced_calls", per=NANO,
        field="cost_usd_per_call_mean", compared="log_mean", logs="cost_usd_per_call", watched=True,
    ),
    "cost_per_million_output_tokens": _mean(
        "usd", "money for a million output tokens", "cost_nano", of="output_tokens", per=NANO // 10**6,
        counted="usage_calls", watched=True,
    ),
    "input_tokens_per_call_mean": _mean(
        "tokens", "input tokens of a call", "input_tokens", of="usage_calls",
        field="input_tokens_per_call_mean", compared="log_mean", logs="input_tokens_per_call", watched=True,
    ),
    "output_tokens_per_call_mean": _mean(
        "tokens", "output tokens of a call", "output_tokens", of="usage_calls",
        compared="log_mean", logs="log_output", watched=True,
    ),
    "tokens_per_call_mean": _mean(
        "tokens", "input and output tokens of a call", "input_tokens", "output_tokens", of="usage_calls"
    ),
    "latency_max": _maximum("ms", "longest call", "latency_ms", "latency_ms_max"),
    "ttft_max": _maximum("ms", "longest time to the first token", "ttft_ms", "ttft_ms_max"),
    "cost_per_call_max": _maximum("usd", "most expensive call", "cost_usd_per_call", "cost_usd_per_call_max"),
    "input_tokens_per_call_max": _maximum(
        "tokens", "longest prompt", "input_tokens_per_call", "input_tokens_per_call_max"
    ),
    **_percentiles("latency", "latency_ms", "ms", "time that a call took"),
    **_percentiles("ttft", "ttft_ms", "ms", "time to the first token"),
    **_percentiles("cost_per_call", "cost_usd_per_call", "usd", "money for a call"),
    **_percentiles("input_tokens_per_call", "input_tokens_per_call", "tokens", "input tokens of a call"),
    **_percentiles(
        "output_tokens_per_s", "output_tokens_per_s", "tokens_per_s", "output tokens a second of a call",
        qs=(5, 10, 50, 90, 95, 99), worse="down",
    ),
    **_percentiles(
        "toxicity", "toxicity", "score", "toxicity of a scored call", measurement=TOXICITY, highest=1
    ),
}  # fmt: skip
"""Name in rules and queries → the metric. There is also `score.NAME_mean` of each score by its name."""

CANARY: Final[dict[str, str]] = {
    "errors": "error_share",
    "toxicity": "toxicity_share",
    "refusals": "refusal_share",
    "guardrail_blocks": "guardrail_block_share",
    "latency": "latency_p95",
    "ttft": "ttft_p95",
    "cost": "cost_per_call_mean",
    "input_tokens": "input_tokens_per_call_mean",
    "output_tokens": "output_tokens_per_call_mean",
}
"""Name in `metrics:` of a canary rule → the metric. Checkpoints depend on the order: add at the end only."""

COMPARABLE: Final = tuple(name for name, metric in METRICS.items() if metric.compared)
"""The metrics that can be compared with past hours; beside them score.NAME_mean."""


def metric_of(name: Any) -> Metric:
    """The metric of that name. Raises ValueError with a suggestion."""
    if isinstance(name, str) and (score := _SCORE.fullmatch(name)):
        return Metric(
            unit="score", text=f"mean of the score {score[1]}", under="count", per=MICRO, score=score[1],
            worse="up" if score[1] in HARMFUL else "down", compared="mean", watched=True, lowest=-math.inf,
        )  # fmt: skip
    if isinstance(name, str) and name in METRICS:
        return METRICS[name]
    if isinstance(name, str) and name.startswith("score."):
        raise ValueError(f"{name!r} is no metric: write score.NAME_mean, such as score.helpful_mean")
    near = suggestion(str(name), [*METRICS, "score.NAME_mean"])
    raise ValueError(f"{name!r} is no metric{near}")


def stored_metrics(measurement: str) -> list[Metric]:
    """The metrics that have a float field in the points of a measurement, their own or another one."""
    counts, known = COUNTS.get(measurement, ()), MEASURES.get(measurement, ())
    return [
        metric
        for metric in METRICS.values()
        if metric.field not in ("", *counts) and (metric.measurement == measurement or metric.field in known)
    ]


def measures(measurement: str) -> tuple[str, ...]:
    """The float fields of a measurement: those in `columns.MEASURES`, and those of further metrics."""
    fields = (metric.field for metric in stored_metrics(measurement))
    return tuple(dict.fromkeys((*MEASURES.get(measurement, ()), *fields)))


def comparable(name: Any) -> str:
    """The name of a metric that can be compared with past hours. Raises ValueError with a suggestion."""
    if metric_of(name).compared:
        return str(name)
    near = suggestion(str(name), [*COMPARABLE, "score.NAME_mean"])
    raise ValueError(f"{name} has no calls that can be compared{near}")
