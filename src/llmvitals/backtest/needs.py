"""What rules read of the calls, and in how large pieces of time they may be given it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvitals.metrics.amount import BASIS
from llmvitals.metrics.registry import METRICS, metric_of
from llmvitals.record.vitals import TOPS
from llmvitals.rules.condition.trailing import bucket_length
from llmvitals.rules.kinds.absence.spec import Absence
from llmvitals.rules.kinds.budget.detector import Account
from llmvitals.rules.kinds.budget.spec import FINE, SPENT, Budget
from llmvitals.rules.kinds.change.spec import Change
from llmvitals.rules.kinds.outage.spec import Outage
from llmvitals.rules.kinds.regression.gauges import sketch_of
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.rules.kinds.runaway.spec import Runaway
from llmvitals.rules.kinds.threshold.spec import Threshold
from llmvitals.sketch.tally import MAXIMA, SUMS
from llmvitals.window import MINUTE, PERIODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvitals.metrics.metric import Metric
    from llmvitals.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Needs:
    """What is read: totals of tally.SUMS and tally.MAXIMA, sketches, and whether tools are."""

    sums: tuple[str, ...]
    tops: tuple[str, ...] = ()
    sketches: tuple[str, ...] = ()
    tools: bool = False


def needs(rule: Rule) -> Needs | None:
    """What a rule reads; None for what can't be told in such terms: vectors, arms and scores."""
    condition = rule.condition
    if isinstance(condition, Budget):
        return Needs(tuple(dict.fromkeys(("calls", *SPENT[condition.metric]))))
    if isinstance(condition, Absence):
        return Needs(("calls",))
    if isinstance(condition, Runaway):
        return Needs(("calls", "cost_nano"), tools=bool(condition.same_tool or condition.signatures))
    if isinstance(condition, Outage):
        return _needs(METRICS["error_share"])
    if isinstance(condition, Regression) and not metric_of(condition.metric).score:
        return _whole([sketch_of(condition.metric)])
    if isinstance(condition, Change) and condition.metrics:
        metrics = [metric_of(name) for name in condition.metrics]
        return (
            None if any(metric.score for metric in metrics) else _whole(metric.sketch for metric in metrics)
        )
    if isinstance(condition, Threshold) and not metric_of(condition.metric).score:
        return _needs(metric_of(condition.metric))
    return None


def _whole(sketches: Iterable[str]) -> Needs:
    """Every total, and these sketches."""
    return Needs(SUMS, MAXIMA, tuple(dict.fromkeys(filter(None, sketches))))


def _needs(metric: Metric) -> Needs:
    named = ("calls", metric.counted, *metric.over, *metric.less, metric.under)
    sums = tuple(dict.fromkeys(name for name in named if name in SUMS))
    tops = metric.top or (TOPS[metric.sketch][0] if metric.sketch in TOPS else "")
    return Needs(sums, (tops,) if tops else (), (metric.sketch,) if metric.sketch else ())


def joint(several: Iterable[Needs]) -> Needs:
    """All of them."""
    several = list(several)
    return Needs(
        tuple(dict.fromkeys(name for one in several for name in one.sums)),
        tuple(dict.fromkeys(name for one in several for name in one.tops)),
        tuple(dict.fromkeys(name for one in several for name in one.sketches)),
        tools=any(one.tools for one in several),
    )


def grain(rule: Rule, pane: int) -> int:
    """How many panes may be given as one (in the last of them) to a rule that says nothing thereby.

    Within so many aligned panes a budget's sums only grow, so that a limit that is not passed at their end
    was not passed before: no period and no bucket of its windows ends in them. No silence is as short.
    1: none. pane: µs.
    """
    condition = rule.condition
    if isinstance(condition, Absence):
        return MINUTE // pane if condition.window >= MINUTE else 1
    if not isinstance(condition, Budget):
        return 1
    if condition.rolling is not None:
        found = bucket_length(condition.rolling, pane, FINE) // pane
    else:
        # No time zone is off by less than a quarter of an hour.
        found = 15 * MINUTE // pane if condition.per in PERIODS else 1
    account = condition.detector(pane, ("",) * len(condition.by))
    if isinstance(account, Account) and account.burn is not None:
        gauges = (*account.burn.gauges, account.burn.hour)
        # A rate is told of as long as the budget is not gone, and that is told at 100 %.
        found = math.gcd(found, *(gauge.panes for gauge in gauges)) if BASIS in condition.thresholds else 1
    return found
