"""Writes docs/metrics.md from the registry of metrics: python docs/metrics_page.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmvitals.metrics.columns import (
    ALERTS,
    BUDGET,
    CALLS,
    CANARY,
    CARDINALITY,
    COUNTS,
    DRIFT,
    MEASURES,
    SCORES,
    TEXTS,
    TOP,
    TOXICITY,
)
from llmvitals.metrics.registry import METRICS, metric_of

if TYPE_CHECKING:
    from llmvitals.metrics.metric import Metric

PAGE = Path(__file__).with_name("metrics.md")
HEAD = """# Metrics

<!-- made by docs/metrics_page.py: change src/llmvitals/metrics/registry.py and columns.py -->

Rules, `llmvitals query` and canaries use these names. *Stored* is the measurement and field that contain the
metric; a *computed* one is computed from the counts of the same point. *Compared* says how `regression`
rules compare it with past hours, and *worse* which direction is bad.

| metric | unit | what it is | stored | compared | worse |
|---|---|---|---|---|---|
"""
UNITS = {
    "count": "count",
    "usd": "USD",
    "tokens": "tokens",
    "ms": "ms",
    "share": "0 … 1",
    "score": "score",
    "per_s": "per second",
    "tokens_per_s": "tokens per second",
}
COMPARISONS = {
    "": "",
    "share": "as a share",
    "token_share": "as a share of tokens",
    "quantile": "as a quantile",
    "mean": "as a mean",
    "log_mean": "as a mean of logarithms",
}
MEASUREMENTS = {
    CALLS: "The calls of a series in a window. Tags: `view`, `window` and the dimensions of the view.",
    TOP: "The top spenders and errors of a series in a window. Tags: as `llm_calls`, `kind`, `rank`.",
    BUDGET: "The state of a budget at the end of a minute. Tags: `rule` and the dimensions.",
    ALERTS: "A change of an alert. Tags: `rule`, `kind`, `severity`, `state`, `fingerprint`, `facet`.",
    DRIFT: "How far a series was from its reference at the end of a minute. Tags: `rule` and the dimensions.",
    CANARY: "An arm beside its control, for one metric. Tags: `rule`, `metric`, `arm`, `control`.",
    TOXICITY: "The toxicity of a series in a window. Tags: as `llm_calls`.",
    SCORES: "One score of a series in a window. Tags: as `llm_calls`, and `score`, its name.",
    CARDINALITY: "A view with more series than its limit; the others are counted in `_other`. Tags: `shard`.",
}
"""Measurement → what one of its points is."""


def current() -> str:
    """The page as it has to be."""
    rows = [row(name, metric) for name, metric in METRICS.items()]
    rows.append(row("score.NAME_mean", metric_of("score.NAME_mean")))
    return "".join([HEAD, *rows, "\n# Measurements\n", *map(measurement, COUNTS)])


def row(name: str, metric: Metric) -> str:
    """The metric's row of the table."""
    stored = f"`{metric.measurement}.{metric.field}`" if metric.field else f"computed, `{metric.measurement}`"
    if metric.score:
        stored = f"`{SCORES}.score_mean`"
    compared = COMPARISONS[metric.compared]
    worse = {"up": "higher", "down": "lower"}[metric.worse] if metric.compared or metric.watched else ""
    return f"| `{name}` | {UNITS[metric.unit]} | {metric.text} | {stored} | {compared} | {worse} |\n"


def measurement(name: str) -> str:
    """The section of a measurement: what a point is, and its fields."""
    kinds = {"integers": COUNTS[name], "floats": MEASURES[name], "strings": TEXTS[name]}
    fields = [
        f"* {kind}: {', '.join(f'`{field}`' for field in found)}\n" for kind, found in kinds.items() if found
    ]
    return "".join([f"\n## {name}\n\n{MEASUREMENTS[name]}\n\n", *fields])


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")
