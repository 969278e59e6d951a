"""Finds conditions that can never fire, or that fire for no reason."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmvitals.metrics.quantity import amount
from llmvitals.metrics.registry import METRICS, metric_of
from llmvitals.record.view import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.errors import Spot
    from llmvitals.record.view import Condition


def out_of_reach(name: str, limits: Mapping[str, float]) -> dict[Spot, str]:
    """The limits that no value of a metric passes, or that every value passes.

    limits: `above`, `below`, `resolve_below`, `resolve_above` → value in the metric's unit.
    """
    metric = metric_of(name)
    lowest, highest = (amount(bound, metric.unit) for bound in (metric.lowest, metric.highest))
    found: dict[Spot, str] = {}
    for side, limit in limits.items():
        top = f"{name} is never above {highest}"
        bottom = f"{name} is never below {lowest}"
        if side == "above" and limit >= metric.highest:
            found[side] = f"it would never fire: {top}: write a lower limit"
        elif side == "above" and limit < metric.lowest:
            found[side] = f"it would always fire: {bottom}: write a higher limit"
        elif side == "below" and limit <= metric.lowest:
            found[side] = f"it would never fire: {bottom}: write a higher limit"
        elif side == "below" and limit > metric.highest:
            found[side] = f"it would always fire: {top}: write a lower limit"
        elif side == "resolve_below" and limit < metric.lowest:
            found[side] = f"it would never resolve: {bottom}: write a higher value"
        elif side == "resolve_above" and limit > metric.highest:
            found[side] = f"it would never resolve: {top}: write a lower value"
    return found


def few_calls(name: str, field: str, least: int) -> dict[Spot, str]:
    """Warns of a percentile over too few calls, which is then the value of a single one.

    field: where the warning belongs. least: the calls that it is computed from, at least.
    """
    metric = metric_of(name)
    if not metric.sketch:
        return {}
    needed = math.ceil(round(1 / min(metric.q, 1 - metric.q), 6))
    if least >= needed:
        return {}
    calls = "1 call" if least == 1 else f"{least} calls"
    return {
        field: f"a p{metric.q * 100:g} of {calls} is the value of a single one: "
        f"write min_calls: {needed} or more"
    }


def counts_errors(name: str) -> bool:
    """Whether the metric of that name says how many calls fail."""
    return name in METRICS and METRICS[name].over == ("errors",)


def cost_without_outcomes(
    name: str, where: Sequence[tuple[str, Condition]], by: Sequence[str]
) -> dict[Spot, str]:
    """The dimension that parts outcomes from the calls that led to them, if the metric needs both."""
    if name != "cost_per_outcome":
        return {}
    cure = "calls have no outcome, so the cost of each one would be 0: leave outcome out"
    spots: list[Spot] = [("where", dimension) for dimension, _ in where if dimension == "outcome"]
    return dict.fromkeys(spots + ["by"] * ("outcome" in by), cure)


def outcome_mistakes(name: str, where: Sequence[tuple[str, Condition]]) -> dict[Spot, str]:
    """The conditions that leave only failed calls, or none of them, to a metric of errors."""
    if not counts_errors(name):
        return {}
    found: dict[Spot, str] = {}
    share = name == "error_share"
    for dimension, wanted in where:
        good = {"status": "ok", "error_type": UNKNOWN}.get(dimension)
        if good is None:
            continue
        if share and not wanted.accepts(good):
            found["where", dimension] = (
                f"without the calls that succeed error_share is always 100%: leave {dimension} out, or write "
                "metric: errors"
            )
        elif dimension == "status" and not wanted.accepts("error"):
            found["where", dimension] = f"without the calls that fail {name} is always 0: leave status out"
    return found
