"""Selects the gauge of a metric by the registry of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmvitals.metrics.registry import metric_of
from llmvitals.rules.kinds.regression.mean import Level
from llmvitals.rules.kinds.regression.quantile import Edge
from llmvitals.rules.kinds.regression.share import Share
from llmvitals.rules.kinds.regression.token_share import TokenShare
from llmvitals.sketch.quantiles import SKETCHES

if TYPE_CHECKING:
    from llmvitals.rules.kinds.regression.gauge import Gauge


def sketch_of(name: str) -> str:
    """The sketch that is read to compare a metric, "" for none."""
    metric = metric_of(name)
    return metric.sketch or (metric.logs if metric.logs in SKETCHES else "")


def gauge_of(name: str) -> Gauge:
    """The gauge of a metric. Raises ValueError if it can't be compared."""
    metric = metric_of(name)
    match metric.compared:
        case "share":
            return Share(metric)
        case "token_share":
            return TokenShare(metric)
        case "quantile":
            return Edge(metric)
        case "mean":
            return Level(metric)
        case "log_mean":
            return Level(metric, sketch=sketch_of(name), logs="" if sketch_of(name) else metric.logs)
    raise ValueError(f"{name} has no calls that can be compared")
