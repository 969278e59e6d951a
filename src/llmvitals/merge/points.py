"""Makes the points that the sinks write from the contents of windows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from llmvitals.merge.plan import MergePlan
from llmvitals.merge.rollup import Windows
from llmvitals.metrics.columns import CALLS, COUNTS, RARE, SCORES, TOP, TOXICITY
from llmvitals.metrics.registry import METRICS, stored_metrics
from llmvitals.metrics.table import MetricTable
from llmvitals.record.details import Details
from llmvitals.record.point import Point
from llmvitals.record.rows import Rows
from llmvitals.record.series import series_of
from llmvitals.sketch import scores, top_k
from llmvitals.sketch.counters import SUM
from llmvitals.window import ROLLUPS

_TOTALS: Final = {"scored_calls": "toxicity_count"}
"""Field → its sum, where that has another name."""
_RARE: Final = frozenset(chain.from_iterable(RARE.values()))
_COUNTS: Final = tuple(name for name in COUNTS[CALLS] if name not in _RARE)


@cache
def _table(measurement: str, names: tuple[str, ...]) -> MetricTable:
    """Look the metrics up in the registry. names: all names in it, as metrics may be registered later on."""
    del names
    return MetricTable.of(stored_metrics(measurement))


def window_points(windows: Windows, plan: MergePlan, upto: int) -> list[Point]:
    """Make the points of windows of a stored view.

    upto: the pane up to which the windows are counted.
    """
    view, rows, window = plan.views[windows.view], windows.rows, windows.window
    scored = _scored(rows)
    toxicity = iter(_measures(TOXICITY, rows.take(np.flatnonzero(scored))))
    counts = zip(*(rows.sums[:, SUM[name]].tolist() for name in _COUNTS), strict=True)
    rare = _rare_counts(rows)
    made = []
    for row, (key, start, of_row, measures, is_scored) in enumerate(
        zip(
            windows.names,
            windows.starts.tolist(),
            counts,
            _measures(CALLS, rows),
            scored.tolist(),
            strict=True,
        )
    ):
        point = Point(
            measurement=CALLS,
            start=start,
            tags=_tags(plan, view.name, series_of(key)[1], window),
            counts=dict(zip(_COUNTS, of_row, strict=True)) | rare.get(row, {}),
            measures=measures,
            upto=upto,
        )
        made.append(point)
        if is_scored:
            answers = _toxicity_counts(rows, row)
            made.append(replace(point, measurement=TOXICITY, counts=answers, measures=next(toxicity)))
        if window in ROLLUPS and row in rows.details:
            details = Details.unpack(rows.details[row])
            made += _score_points(point, details)
            if view.contributors:
                made += _contributor_points(point, details, plan)
    return made


def _tags(plan: MergePlan, view: str, series: tuple[str, ...], window: str) -> dict[str, str]:
    tags = {"view": view, "window": window, **dict(zip(plan.views[view].by, series, strict=True))}
    return tags | {"shard": str(plan.shard)} if plan.away(view, series) else tags


def _rare_counts(rows: Rows) -> dict[int, dict[str, int]]:
    """Row → its counts that few points have."""
    found: dict[int, dict[str, int]] = {}
    for first, names in RARE.items():
        places = np.flatnonzero(rows.sums[:, SUM[first]])
        if len(places):
            columns = rows.sums[places][:, [SUM[name] for name in names]].tolist()
            for row, values in zip(places.tolist(), columns, strict=True):
                found.setdefault(row, {}).update(zip(names, values, strict=True))
    return found


def _measures(measurement: str, rows: Rows) -> list[dict[str, float]]:
    """Compute field → value of a measurement for each row; without fields that have no value."""
    if not len(rows):
        return []
    table = _table(measurement, tuple(METRICS))
    return [
        {field: value for field, value in zip(table.fields, row, strict=True) if value == value}  # noqa: PLR0124
        for row in table.read(rows).tolist()
    ]


def _contributor_points(point: Point, details: Details, plan: MergePlan) -> Iterator[Point]:
    for kind in top_k.KINDS:
        shares = top_k.heaviest(details.contributors.get(kind, {}), plan.contributors)
        for rank, (name, (calls, cost, tokens, *_)) in enumerate(shares, 1):
            yield replace(
                point,
                measurement=TOP,
                tags={**point.tags, "kind": kind, "rank": str(rank)},
                counts={"calls": calls, "tokens": tokens},
                measures={"cost_usd": cost / 10**9},
                texts={"name": name},
            )


def _scored(rows: Rows) -> NDArray[np.bool_]:
    """Which rows have answers with a toxicity, or that should have one."""
    scored: NDArray[np.bool_] = (rows.sums[:, [SUM["toxicity_count"], SUM["unscored_calls"]]] != 0).any(
        axis=1
    )
    return scored


def _toxicity_counts(rows: Rows, row: int) -> dict[str, int]:
    return {name: int(rows.sums[row, SUM[_TOTALS.get(name, name)]]) for name in COUNTS[TOXICITY]}


def _score_points(calls: Point, details: Details) -> Iterator[Point]:
    for name, score in sorted(details.scores.items()):
        measures = {"score_mean": scores.mean(score)}
        if (deviation := scores.deviation(score)) is not None:
            measures["score_deviation"] = deviation
        tags, counts = {**calls.tags, "score": name}, {"scores": score[0]}
        yield replace(calls, measurement=SCORES, tags=tags, counts=counts, measures=measures)
