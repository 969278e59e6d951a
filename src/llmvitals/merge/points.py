"""Makes the points that the sinks write from the contents of windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

from llmvitals.merge.plan import MergePlan, series_of
from llmvitals.merge.rollup import Contents
from llmvitals.metrics.columns import CALLS, COUNTS, MEASURES, RARE, SCORES, TOP, TOXICITY
from llmvitals.metrics.registry import METRICS
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.record.vitals import TOPS, Vitals
from llmvitals.sketch import quantiles, scores, top_k
from llmvitals.sketch.counters import SUM
from llmvitals.window import ROLLUPS

_STORED: Final = [metric for metric in METRICS.values() if metric.field in MEASURES[CALLS]]
_RATIOS: Final = {metric.field: metric for metric in _STORED if metric.under}
"""Field → the ratio that it holds."""
_PERCENTILES: Final = {metric.field: (metric.sketch, metric.q) for metric in _STORED if metric.sketch}
"""Field → sketch and q."""
_MAXIMA: Final = {metric.field: metric for metric in _STORED if metric.top}
"""Field → the maximum that it holds."""
_WANTED: Final = list(_PERCENTILES.values())
_TOTALS: Final = {"scored_calls": "toxicity_count"}
"""Field → its sum, where that has another name."""
_RARE: Final = frozenset(chain.from_iterable(RARE.values()))
_COUNTS: Final = tuple(name for name in COUNTS[CALLS] if name not in _RARE)
_counts = itemgetter(*(SUM[name] for name in _COUNTS))


def messages(contents: Contents, plan: MergePlan, upto: int) -> list[Message]:
    """Make the points of changed windows, JSON keyed by series, for all views that are stored.

    upto: the pane up to which the windows are counted.
    """
    shown = {}
    for place, vitals in contents.items():
        view, series = series_of(place[2])
        if plan.stored(view, series):
            shown[place] = _tags(plan, view, series, place[0]), vitals
    if not shown:
        return []
    table = quantiles.read([vitals.bins for _, vitals in shown.values()], _WANTED).tolist()
    sent = []
    for ((window, start, key), (tags, vitals)), row in zip(shown.items(), table, strict=True):
        point = Point(
            measurement=CALLS,
            start=start,
            tags=tags,
            counts=dict(zip(_COUNTS, _counts(vitals.sums), strict=True)) | _rare_counts(vitals),
            measures=dict(_measures(vitals, row)),
            upto=upto,
        )
        sent.append(Message(Topic.VITALS, key, point.encode()))
        sent.extend(Message(Topic.VITALS, key, score.encode()) for score in score_points(point, vitals))
        if window in ROLLUPS and plan.views[tags["view"]].contributors:
            sent.extend(
                Message(Topic.VITALS, key, contributor.encode())
                for contributor in _contributor_points(point, vitals, plan)
            )
    return sent


def _tags(plan: MergePlan, view: str, series: tuple[str, ...], window: str) -> dict[str, str]:
    tags = {"view": view, "window": window, **dict(zip(plan.views[view].by, series, strict=True))}
    return tags | {"shard": str(plan.shard)} if plan.away(view, series) else tags


def _rare_counts(vitals: Vitals) -> dict[str, int]:
    present = [names for first, names in RARE.items() if vitals.total(first)]
    return {name: vitals.total(name) for names in present for name in names}


def _measures(vitals: Vitals, row: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Yield name and value of each measure that exists. row: the percentiles, NaN for none."""
    yield "cost_usd", vitals.total("cost_nano") / 10**9
    for name, ratio in _RATIOS.items():
        if (mean := ratio.of(vitals.total)) is not None:
            yield name, mean
    for name, metric in _MAXIMA.items():
        if vitals.total(metric.counted):
            yield name, vitals.total(metric.top) / metric.per
    maxima = {sketch: top for sketch in TOPS if (top := vitals.top(sketch)) is not None}
    for (name, (sketch, _)), value in zip(_PERCENTILES.items(), row, strict=True):
        if value == value:  # noqa: PLR0124 - the quickest test for NaN
            yield name, min(value, maxima.get(sketch, value))


def _contributor_points(point: Point, vitals: Vitals, plan: MergePlan) -> Iterator[Point]:
    for kind in top_k.KINDS:
        for rank, (name, (calls, cost, tokens, *_)) in enumerate(vitals.heaviest(kind, plan.contributors), 1):
            yield Point(
                measurement=TOP,
                start=point.start,
                tags={**point.tags, "kind": kind, "rank": str(rank)},
                counts={"calls": calls, "tokens": tokens},
                measures={"cost_usd": cost / 10**9},
                texts={"name": name},
                upto=point.upto,
            )


def score_points(calls: Point, vitals: Vitals) -> Iterator[Point]:
    """Make the points of toxicity, if any call was scored, and of scores in windows of a minute or more."""
    if vitals.total("toxicity_count") or vitals.total("unscored_calls"):
        yield _beside_calls(
            calls, TOXICITY, counts=_toxicity_counts(vitals), measures=dict(_toxicity_measures(vitals))
        )
    if calls.tags["window"] in ROLLUPS:
        for name, score in sorted(vitals.scores.items()):
            measures = {"score_mean": scores.mean(score)}
            if (deviation := scores.deviation(score)) is not None:
                measures["score_deviation"] = deviation
            yield _beside_calls(
                calls, SCORES, {"score": name}, counts={"scores": score[0]}, measures=measures
            )


def _beside_calls(
    calls: Point,
    measurement: str,
    tags: dict[str, str] | None = None,
    *,
    counts: dict[str, int],
    measures: dict[str, float],
) -> Point:
    return Point(
        measurement=measurement,
        start=calls.start,
        tags={**calls.tags, **(tags or {})},
        counts=counts,
        measures=measures,
        upto=calls.upto,
    )


def _toxicity_counts(vitals: Vitals) -> dict[str, int]:
    return {name: vitals.total(_TOTALS.get(name, name)) for name in COUNTS[TOXICITY]}


def _toxicity_measures(vitals: Vitals) -> Iterator[tuple[str, float]]:
    """Yield name and value of each measure of toxicity that exists."""
    for name in MEASURES[TOXICITY]:
        metric = METRICS[name]
        value = vitals.quantile(metric.sketch, metric.q) if metric.sketch else metric.of(vitals.total)
        if value is not None:
            yield name, value
