"""Makes the points that the sinks write from the contents of windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from msgspec.structs import replace

from llmvitals.merge.plan import MergePlan, series_of
from llmvitals.merge.rollup import Contents
from llmvitals.metrics.columns import CALLS, COUNTS, RARE, SCORES, TOP, TOXICITY
from llmvitals.metrics.metric import Metric
from llmvitals.metrics.registry import METRICS, stored_metrics
from llmvitals.record.point import Point
from llmvitals.record.vitals import TOPS, Vitals
from llmvitals.sketch import quantiles, scores, top_k
from llmvitals.sketch.counters import SUM, SUMS
from llmvitals.window import ROLLUPS

_TOTALS: Final = {"scored_calls": "toxicity_count"}
"""Field → its sum, where that has another name."""
_RARE: Final = frozenset(chain.from_iterable(RARE.values()))
_COUNTS: Final = tuple(name for name in COUNTS[CALLS] if name not in _RARE)
_counts = itemgetter(*(SUM[name] for name in _COUNTS))


class _FieldMetrics(NamedTuple):
    """The metrics in the fields of a measurement, by how they are read."""

    values: list[Metric]
    maxima: list[Metric]
    percentiles: list[Metric]


@cache
def _field_metrics(measurement: str, names: tuple[str, ...]) -> _FieldMetrics:
    """Look the metrics up in the registry. names: all names in it, as metrics may be registered later on."""
    del names
    stored = stored_metrics(measurement)
    return _FieldMetrics(
        [metric for metric in stored if not (metric.sketch or metric.top)],
        [metric for metric in stored if metric.top],
        [metric for metric in stored if metric.sketch],
    )


def window_points(contents: Contents, plan: MergePlan, upto: int) -> list[Point]:
    """Make the points of changed windows, for all views that are stored.

    upto: the pane up to which the windows are counted.
    """
    shown = {}
    for place, vitals in contents.items():
        view, series = series_of(place[2])
        if plan.stored(view, series):
            shown[place] = _tags(plan, view, series, place[0]), vitals
    if not shown:
        return []
    every = [vitals for _, vitals in shown.values()]
    toxicity = iter(_measures(TOXICITY, [vitals for vitals in every if _is_scored(vitals)]))
    made = []
    for ((window, start, _), (tags, vitals)), measures in zip(
        shown.items(), _measures(CALLS, every), strict=True
    ):
        point = Point(
            measurement=CALLS,
            start=start,
            tags=tags,
            counts=dict(zip(_COUNTS, _counts(vitals.sums), strict=True)) | _rare_counts(vitals),
            measures=measures,
            upto=upto,
        )
        made.append(point)
        if _is_scored(vitals):
            counts = _toxicity_counts(vitals)
            made.append(replace(point, measurement=TOXICITY, counts=counts, measures=next(toxicity)))
        if window in ROLLUPS:
            made.extend(_score_points(point, vitals))
        if window in ROLLUPS and plan.views[tags["view"]].contributors:
            made.extend(_contributor_points(point, vitals, plan))
    return made


def _tags(plan: MergePlan, view: str, series: tuple[str, ...], window: str) -> dict[str, str]:
    tags = {"view": view, "window": window, **dict(zip(plan.views[view].by, series, strict=True))}
    return tags | {"shard": str(plan.shard)} if plan.away(view, series) else tags


def _rare_counts(vitals: Vitals) -> dict[str, int]:
    present = [names for first, names in RARE.items() if vitals.total(first)]
    return {name: vitals.total(name) for names in present for name in names}


def _measures(measurement: str, every: Sequence[Vitals]) -> list[dict[str, float]]:
    """Compute field → value of a measurement, for many vitals at once; without fields that have no value."""
    if not every:
        return []
    metrics = _field_metrics(measurement, tuple(METRICS))
    wanted = [(metric.sketch, metric.q) for metric in metrics.percentiles]
    table = quantiles.read([vitals.bins for vitals in every], wanted).tolist()
    return [dict(_fields(vitals, metrics, row)) for vitals, row in zip(every, table, strict=True)]


def _fields(
    vitals: Vitals, metrics: _FieldMetrics, percentiles: Sequence[float]
) -> Iterator[tuple[str, float]]:
    """Yield field and value of each metric that has a value. percentiles: NaN for none."""
    total = dict(zip(SUMS, vitals.sums, strict=True)).__getitem__  # quicker than vitals.total
    for metric in metrics.values:
        if (value := metric.of(total)) is not None:
            yield metric.field, value
    for metric in metrics.maxima:
        if vitals.total(metric.counted):
            yield metric.field, vitals.total(metric.top) / metric.per
    maxima = {sketch: top for sketch in TOPS if (top := vitals.top(sketch)) is not None}
    for metric, value in zip(metrics.percentiles, percentiles, strict=True):
        if value == value:  # noqa: PLR0124 - the quickest test for NaN
            yield metric.field, min(value, maxima.get(metric.sketch, value))


def _contributor_points(point: Point, vitals: Vitals, plan: MergePlan) -> Iterator[Point]:
    for kind in top_k.KINDS:
        for rank, (name, (calls, cost, tokens, *_)) in enumerate(vitals.heaviest(kind, plan.contributors), 1):
            yield replace(
                point,
                measurement=TOP,
                tags={**point.tags, "kind": kind, "rank": str(rank)},
                counts={"calls": calls, "tokens": tokens},
                measures={"cost_usd": cost / 10**9},
                texts={"name": name},
            )


def _is_scored(vitals: Vitals) -> bool:
    return bool(vitals.total("toxicity_count") or vitals.total("unscored_calls"))


def _toxicity_counts(vitals: Vitals) -> dict[str, int]:
    return {name: vitals.total(_TOTALS.get(name, name)) for name in COUNTS[TOXICITY]}


def _score_points(calls: Point, vitals: Vitals) -> Iterator[Point]:
    for name, score in sorted(vitals.scores.items()):
        measures = {"score_mean": scores.mean(score)}
        if (deviation := scores.deviation(score)) is not None:
            measures["score_deviation"] = deviation
        tags, counts = {**calls.tags, "score": name}, {"scores": score[0]}
        yield replace(calls, measurement=SCORES, tags=tags, counts=counts, measures=measures)
