"""Finds windows in which a metric may exceed a fixed limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llmvitals.metrics.metric import SECONDS
from llmvitals.metrics.registry import metric_of
from llmvitals.rules.condition.screening import SLACK
from llmvitals.sketch import quantiles
from llmvitals.window import SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.metrics.metric import Metric
    from llmvitals.rules.condition.kind import FixedLimit
    from llmvitals.rules.condition.screening import Windows

    Flags = NDArray[np.bool_]


def may_fire(limit: FixedLimit, windows: Windows) -> Flags:
    """For each window whether the metric may exceed the limit."""
    metric = metric_of(limit.metric)
    if metric.sketch:
        return _quantile(metric, limit, windows)
    enough = windows.totals(metric.counted) >= limit.min_calls
    if metric.top:
        if not limit.above:
            return enough
        over = windows.entries.top(metric.top) > limit.limit * metric.per * (1 - SLACK)
        return enough & (windows.sum(over * 1) > 0)
    value = windows.totals(*metric.over) - windows.totals(*metric.less)
    under = windows.totals(metric.under) if metric.under not in ("", SECONDS) else 1.0
    if metric.under == SECONDS:
        under = limit.window / SECOND
    bound = limit.limit * under * metric.per
    slack = SLACK * np.abs(bound)
    return enough & ((value > bound - slack) if limit.above else (value < bound + slack))


def _quantile(metric: Metric, limit: FixedLimit, windows: Windows) -> Flags:
    """Whether enough values exceed the limit for the quantile, with a tolerance of one value and one bin."""
    bins = windows.entries.bins
    first = quantiles.NUMBER[metric.sketch] * quantiles.STRIDE
    own = (bins.labels >= first) & (bins.labels < first + quantiles.STRIDE)
    keys, labels, counts = bins.keys[own], bins.labels[own], bins.counts[own]
    scaled = np.array([limit.limit / quantiles.SKETCHES[metric.sketch]])
    edge = int(quantiles.bin_keys(metric.sketch, scaled)[0])
    beyond = labels >= edge - 1 if limit.above else labels <= edge + 1
    values = windows.counted(keys, counts)
    outside = windows.counted(keys[beyond], counts[beyond])
    share = 1 - metric.q if limit.above else metric.q
    found: Flags = (values >= limit.min_calls) & (outside > 0) & (outside >= np.floor(share * values) - 1)
    return found
