"""Which metrics can be compared with those of past hours, how, and which way they get worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import suggestion
from llmvitals.metrics.metric import METRICS, Metric, metric_of
from llmvitals.rules.kinds.regression.mean import Level
from llmvitals.rules.kinds.regression.quantile import Edge
from llmvitals.rules.kinds.regression.share import Share

if TYPE_CHECKING:
    from llmvitals.rules.kinds.regression.gauge import Gauge, Side

LEVELS: Final = {
    "latency_mean": {"sketch": "latency_ms"},
    "ttft_mean": {"sketch": "ttft_ms"},
    "cost_per_call_mean": {"sketch": "cost_usd_per_call"},
    "input_tokens_per_call_mean": {"sketch": "input_tokens_per_call"},
    "output_tokens_per_call_mean": {"logs": "log_output"},
}
"""Means of which logarithms are compared."""


def _is_share(metric: Metric) -> bool:
    """Of calls: shares of tokens and of money have no number of calls under them."""
    return metric.unit == "share" and metric.counted == metric.under and not metric.less


def _is_score(metric: Metric) -> bool:
    return metric.unit == "score" and not metric.sketch


COMPARABLE: Final = tuple(
    name
    for name, metric in METRICS.items()
    if name in LEVELS or metric.sketch or _is_share(metric) or _is_score(metric)
)
"""Names of metrics; beside them there is score.NAME_mean."""
DOWN: Final = frozenset(("cache_hit_share", "top_score_mean"))
"""Those that get worse when they fall, beside scores and output_tokens_per_s."""


def comparable(name: Any) -> str:
    """The name of a metric that can be compared. Raises ValueError with a suggestion."""
    metric_of(name)
    if name in COMPARABLE or str(name).startswith("score."):
        return str(name)
    raise ValueError(
        f"{name} has no calls that can be compared{suggestion(str(name), [*COMPARABLE, 'score.NAME_mean'])}"
    )


def sketch_of(name: str) -> str:
    """The sketch that is read to compare it, "" for none: of a mean too."""
    return LEVELS.get(name, {}).get("sketch", metric_of(name).sketch)


def worse(name: str) -> Side:
    """Which way a metric gets worse."""
    falls = name in DOWN or name.startswith(("score.", "output_tokens_per_s"))
    return "down" if falls else "up"


def gauge_of(name: str) -> Gauge:
    """How it is compared."""
    metric = metric_of(name)
    if name in LEVELS:
        return Level(metric, **LEVELS[name])
    if metric.sketch:
        return Edge(metric)
    return Share(metric) if metric.unit == "share" else Level(metric)
