"""Where a rule can't have said anything: what has to hold in its window before it may, looked for by numpy.

Most series never come near a limit. What is read here is the rule's own window (detect/trailing), at every
time at which it changes, but less exactly: a series that the screen lets pass is looked at by the detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvitals.backtest.needs import needs
from llmvitals.metrics.metric import SECONDS
from llmvitals.metrics.registry import metric_of
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.rules.kinds.outage.spec import Outage
from llmvitals.rules.kinds.runaway.spec import Runaway
from llmvitals.rules.kinds.threshold.spec import Threshold
from llmvitals.sketch import quantiles
from llmvitals.window import FOREVER, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.backtest.columns import Bag
    from llmvitals.metrics.metric import Metric
    from llmvitals.rules.rule import Rule

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

SLACK: Final = 1e-6
"""How much less exactly a limit is held against floats here, as a share."""


def look_back(rule: Rule) -> int | None:
    """How long before a time (µs) calls matter to what a rule says there; None: it can't be screened.

    A rule that makes something of too few calls may speak of any series.
    """
    condition = rule.condition
    if not isinstance(condition, Outage | Runaway | Threshold) or rule.no_data not in ("ok", "keep"):
        return None
    return None if needs(rule) is None else condition.window


def hot(rule: Rule, bag: Bag, pane: int, since: int) -> Ints:
    """For each entry the first pane, of its own and the one at which it leaves, where the rule may speak.

    FOREVER where it can't. bag: every entry from `look_back` before the pane `since` on, before which nothing
    is looked for. pane: µs.
    """
    condition = rule.condition
    if not isinstance(condition, Outage | Runaway | Threshold):
        raise TypeError(f"{condition.kind} can't be screened")
    length = bucket_length(condition.window, pane)
    windows = _Windows.of(bag, length // pane, condition.window // length)
    if isinstance(condition, Runaway):
        found = _runaway(condition, bag, windows)
    elif isinstance(condition, Outage):
        calls, errors = windows.sum(bag.total("calls")), windows.sum(bag.total("errors"))
        found = (calls >= condition.min_calls) & (errors >= calls * condition.minor * (1 - SLACK))
    else:
        found = _threshold(condition, bag, windows)
    first = np.where(found & (windows.panes >= since), windows.panes, FOREVER)
    return np.minimum(first[: len(bag)], first[len(bag) :])


@dataclass(frozen=True, slots=True)
class _Windows:
    """The window that ends with each entry's pane (n), and with the pane at which its bucket leaves (n).

    starts, ends: the entries in it. panes: the last one of each.
    """

    starts: Ints
    ends: Ints
    panes: Ints

    @classmethod
    def of(cls, bag: Bag, panes: int, buckets: int) -> _Windows:
        keys, mine = bag.keys, bag.panes
        rows, bucket = keys - mine, mine // panes
        leaves = (bucket + buckets) * panes
        first = np.searchsorted(keys, rows + (bucket - buckets + 1) * panes)
        later = np.searchsorted(keys, rows + (bucket + 1) * panes)
        ends = np.searchsorted(keys, rows + leaves, side="right")
        return cls(
            np.concatenate((first, later)),
            np.concatenate((np.arange(1, len(keys) + 1), ends)),
            np.concatenate((mine, leaves)),
        )

    def sum(self, values: Ints) -> Ints:
        """What the entries of each window add up to."""
        sums = np.concatenate(([0], np.cumsum(values)))
        found: Ints = sums[self.ends] - sums[self.starts]
        return found


def _runaway(condition: Runaway, bag: Bag, windows: _Windows) -> Flags:
    found = np.zeros(len(windows.panes), np.bool_)
    if condition.spend is not None:
        found |= windows.sum(bag.total("cost_nano")) >= condition.spend
    least = [condition.same_tool, condition.signatures and condition.signatures.calls]
    if asked := [number for number in least if number]:
        used = np.zeros(len(bag), np.int64)
        np.add.at(used, np.searchsorted(bag.keys, bag.tools.keys), bag.tools.counts)
        found |= windows.sum(used) >= min(asked)
    return found


def _threshold(condition: Threshold, bag: Bag, windows: _Windows) -> Flags:
    metric = metric_of(condition.metric)
    few = condition.min_calls or (1 if metric.additive else 20)
    above = condition.above is not None
    limit = float((condition.above if above else condition.below) or 0.0)
    if metric.sketch:
        return _quantile(metric, (above, limit, few), bag, windows)
    enough = windows.sum(bag.total(metric.counted)) >= few
    if metric.top:
        if not above:
            return enough
        return enough & (windows.sum((bag.top(metric.top) > limit * metric.per * (1 - SLACK)) * 1) > 0)
    over = windows.sum(sum((bag.total(name) for name in metric.over), np.zeros(len(bag), np.int64)))
    over = over - windows.sum(sum((bag.total(name) for name in metric.less), np.zeros(len(bag), np.int64)))
    under = windows.sum(bag.total(metric.under)) if metric.under not in ("", SECONDS) else 1.0
    if metric.under == SECONDS:
        under = condition.window / SECOND
    bound = limit * under * metric.per
    slack = SLACK * np.abs(bound)
    return enough & ((over > bound - slack) if above else (over < bound + slack))


def _quantile(metric: Metric, wanted: tuple[bool, float, int], bag: Bag, windows: _Windows) -> Flags:
    """As many values have to lie beyond the limit as the quantile says, but for one and a bin's width."""
    above, limit, few = wanted
    first = quantiles.NUMBER[metric.sketch] * quantiles.STRIDE
    mine = (bag.bins.labels >= first) & (bag.bins.labels < first + quantiles.STRIDE)
    at = np.searchsorted(bag.keys, bag.bins.keys[mine])
    labels, counts = bag.bins.labels[mine], bag.bins.counts[mine]
    edge = int(quantiles.bin_keys(metric.sketch, np.array([limit / quantiles.SKETCHES[metric.sketch]]))[0])
    beyond = labels >= edge - 1 if above else labels <= edge + 1
    known, outside = np.zeros((2, len(bag)), np.int64)
    np.add.at(known, at, counts)
    np.add.at(outside, at[beyond], counts[beyond])
    values, far = windows.sum(known), windows.sum(outside)
    share = 1 - metric.q if above else metric.q
    found: Flags = (values >= few) & (far > 0) & (far >= np.floor(share * values) - 1)
    return found
