"""What a window holds → the points that the sinks write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

from llmvitals.merge.answers import answers
from llmvitals.merge.plan import MergePlan, series_of
from llmvitals.merge.rollup import Contents
from llmvitals.metrics.columns import CALLS, COUNTS, MEASURES, RARE, TOP
from llmvitals.metrics.registry import METRICS
from llmvitals.record.log import Message, Topic
from llmvitals.record.point import Point
from llmvitals.record.vitals import TOPS, Vitals
from llmvitals.sketch import quantiles, top_k
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
_RARE: Final = frozenset(chain.from_iterable(RARE.values()))
_COUNTS: Final = tuple(name for name in COUNTS[CALLS] if name not in _RARE)
_counts = itemgetter(*(SUM[name] for name in _COUNTS))


def messages(contents: Contents, plan: MergePlan, upto: int) -> list[Message]:
    """The points of windows that changed, JSON, keyed by series; upto: the pane they are counted up to.

    Views that are unknown or not stored give none.
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
            counts=dict(zip(_COUNTS, _counts(vitals.sums), strict=True)) | _rare(vitals),
            measures=dict(_measures(vitals, row)),
            upto=upto,
        )
        sent.append(Message(Topic.VITALS, key, point.encode()))
        sent.extend(Message(Topic.VITALS, key, said.encode()) for said in answers(point, vitals))
        if window in ROLLUPS and plan.views[tags["view"]].contributors:
            sent.extend(Message(Topic.VITALS, key, top.encode()) for top in _tops(point, vitals, plan))
    return sent


def _tags(plan: MergePlan, view: str, series: tuple[str, ...], window: str) -> dict[str, str]:
    tags = {"view": view, "window": window, **dict(zip(plan.views[view].by, series, strict=True))}
    return tags | {"shard": str(plan.shard)} if plan.away(view, series) else tags


def _rare(vitals: Vitals) -> dict[str, int]:
    there = [names for first, names in RARE.items() if vitals.total(first)]
    return {name: vitals.total(name) for names in there for name in names}


def _measures(vitals: Vitals, row: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Name and value of the measures that exist; row: the percentiles, NaN where there is none."""
    yield "cost_usd", vitals.total("cost_nano") / 10**9
    for name, ratio in _RATIOS.items():
        if (mean := ratio.of(vitals.total)) is not None:
            yield name, mean
    for name, metric in _MAXIMA.items():
        if vitals.total(metric.counted):
            yield name, vitals.total(metric.top) / metric.per
    tops = {sketch: top for sketch in TOPS if (top := vitals.top(sketch)) is not None}
    for (name, (sketch, _)), value in zip(_PERCENTILES.items(), row, strict=True):
        if value == value:  # noqa: PLR0124 - the quickest test for NaN
            yield name, min(value, tops.get(sketch, value))


def _tops(point: Point, vitals: Vitals, plan: MergePlan) -> Iterator[Point]:
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
