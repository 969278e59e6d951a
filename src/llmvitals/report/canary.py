"""Reads from the store how arms compare with their controls, metric by metric."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.metrics.columns import CANARY
from llmvitals.report.drift import chosen, plain_point, span_of
from llmvitals.store.registry import store_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llmvitals.settings import Settings

_OTHERS: Final = ("view", "window", "rule", "metric", "arm", "control")
NOTABLE: Final = 1.3
"""A ratio that people expect to be told of within a week."""
_DIFFERENCES: Final = ("score", "top_score")
"""The beginnings of metrics whose effect is a difference; the effect of others is a ratio."""


@dataclass(frozen=True, slots=True)
class MetricCourse:
    """One metric of a comparison, in the order of time: event time (µs) and fields."""

    metric: str
    points: Sequence[tuple[int, Mapping[str, Any]]]

    @property
    def newest(self) -> Mapping[str, Any]:
        """The fields of the last point."""
        return self.points[-1][1]

    @property
    def no_effect(self) -> float:
        """The value of an effect that means: no difference."""
        return 0.0 if self.metric.startswith(_DIFFERENCES) else 1.0

    @property
    def evidence(self) -> list[tuple[int, float]]:
        """log10 of the evidence over time."""
        return [(at, fields["log10_e"]) for at, fields in self.points if fields.get("log10_e") is not None]

    @property
    def visible(self) -> tuple[float, float] | None:
        """The smallest effects that would be found within a day and a week; None: not known."""
        day, week = (self.newest.get(name) for name in ("visible_day", "visible_week"))
        return None if day is None or week is None else (day, week)

    @property
    def blind(self) -> bool:
        """Whether a ratio of NOTABLE would not be found within a week: few calls, or a greater `effect`."""
        return bool(self.no_effect and self.visible and self.visible[1] > NOTABLE)

    @property
    def worse(self) -> bool:
        """Whether the evidence ever reached its limit."""
        limit = self.newest.get("log10_limit")
        return limit is not None and any(value >= limit for _, value in self.evidence)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside its control in one series of a rule. begin, end: µs."""

    rule: str
    labels: Mapping[str, str]
    arm: str
    control: str
    begin: int
    end: int
    lines: Sequence[MetricCourse]

    @property
    def cluster(self) -> str:
        """What the evidence is counted by; "" in points of an older version."""
        newest = max(self.lines, key=lambda line: line.points[-1][0]).newest
        return str(newest.get("cluster") or "")


async def found(
    settings: Settings,
    since: str,
    rule: str | None,
    where: Mapping[str, str],
    *,
    clock: Callable[[], float] = time.time,
) -> list[Comparison]:
    """The comparisons since a duration ago or a time, the newest last; raises as drift.found."""
    begin, end = span_of(since, clock)
    pairs: dict[tuple[Any, ...], dict[str, list[tuple[int, Mapping[str, Any]]]]] = {}
    points = await store_reader(settings).points(CANARY, begin, end)
    for labels, tags, point in chosen(points, rule, where, _OTHERS):
        pair = pairs.setdefault((tags["rule"], labels, tags["arm"], tags["control"]), {})
        pair.setdefault(tags["metric"], []).append(point)
    made = []
    for (name, key, arm, control), metrics in pairs.items():
        lines = [MetricCourse(metric, course) for metric, course in sorted(metrics.items())]
        times = [at for line in lines for at, _ in line.points]
        made.append(Comparison(name, dict(key), arm, control, min(times), max(times), lines))
    return sorted(made, key=lambda pair: (pair.end, pair.rule, pair.arm))


def plain(pairs: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The comparisons as JSON has them."""
    return [
        {
            "rule": pair.rule,
            "labels": dict(pair.labels),
            "arm": pair.arm,
            "control": pair.control,
            "metrics": [
                {"metric": line.metric, "points": list(map(plain_point, line.points))} for line in pair.lines
            ],
        }
        for pair in pairs
    ]
